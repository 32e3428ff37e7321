"""ports.SearchIndex: the index as one principal sees it.

Row-level security hides rows before anything is counted or ranked, and every graph runs through one zone
alone, so what a principal receives depends on nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from kiban.backends.postgres import bm25, pictures, rows, scoping
from kiban.backends.postgres.connect import Connection, Postgres
from kiban.backends.postgres.copying import half
from kiban.domain.access import EVERYONE, NOBODY, Audience, Principal
from kiban.domain.document import Document
from kiban.domain.generation import FIRST_CUT
from kiban.domain.question import EVERYTHING, Choice, Choices, Passage, Scope
from kiban.domain.sensitive import Finding, Kind
from kiban.domain.text import Span
from kiban.ports import Vector

BROWSE = f"with hit as (select id as chunk_id, 0 as score from kiban.chunk) {rows.PASSAGES}"

# "+ 0" keeps the planner from a graph: whatever is not searched through one is compared whole.
EXACT = """
(select chunk_id, 1 - (vector <=> %(vector)s) as score from kiban.embedding
where generation_id = %(generation)s and zone_id = any(%(zones)s::integer[]) and {in_scope}
order by (vector <=> %(vector)s) + 0, chunk_id limit %(limit)s)
"""

# The cast and the zone are those that the graph was built with.
GRAPH = """
(select chunk_id, 1 - (vector <=> %(vector)s) as score from kiban.embedding
where generation_id = {generation} and zone_id = {zone} and {in_scope}
order by vector::halfvec({dimensions}) <=> %(vector)s limit %(limit)s)
"""
NEAREST = f"""
with hit as materialized (
    select chunk_id, score from ({{lanes}}) as lane order by score desc, chunk_id limit %(limit)s
) {rows.PASSAGES} order by hit.score desc, chunk.id
"""
# That may be seen, and how many chunks those have that have a graph.
ZONES = """
select id, case when exists (select from kiban.graph where generation_id = %s and zone_id = id)
    then (select coalesce(sum(chunks), 0) from kiban.zone_tally where zone_id = id) end
from kiban.zone order by id
"""
GRAPH_SETTINGS = """
select set_config('hnsw.iterative_scan', 'strict_order', true), set_config('hnsw.ef_search', %s, true),
       set_config('enable_sort', 'off', true)
"""
NARROWEST, WIDEST = 400, 1000  # neighbours a walk keeps in view: four for each of a hundred; pgvector's most

AUDIENCE = "select readers from kiban.document join kiban.zone on zone.id = zone_id where document.id = %s"
# An address has no folder that one would narrow a question to.
CHOICES = """
with seen as (
    select source, substring(uri from '^([^/:]+/)[^/]') as folder,
        lower(substring(uri from '\\.([^./]+)$')) as format
    from kiban.document
)
select kind, value, count(*) from seen,
    lateral (values ('source', source), ('folder', folder), ('format', format)) as choice (kind, value)
where value is not null and length(value) <= 100
group by kind, value order by count(*) desc, value
"""
MOST_CHOICES = 30  # of each kind; more are no help
SENSITIVE = """
select chunk_id, kind, span_start, span_end from kiban.sensitive
where chunk_id = any(%s) order by chunk_id, span_start
"""


class PostgresSearch:
    """Reads one cut, as kiban_reader. Every call raises PartUnavailable when Postgres does not answer.

    Of a generation of another cut it finds nothing.
    """

    def __init__(self, postgres: Postgres, cut: int = FIRST_CUT) -> None:
        self._postgres = postgres
        self._cut = cut

    def visible_chunks(self, who: Principal, scope: Scope = EVERYTHING) -> int:
        counted = "select coalesce(sum(chunks), 0) from kiban.zone_tally"
        if scope != EVERYTHING:
            counted = f"select count(*) from ({scoping.CHUNKS}) as chunk"
        with self._reading(who) as tx:
            found = tx.execute(counted.encode(), scoping.parameters(scope)).fetchone()
            assert found is not None
            return int(found[0])

    def documents(self, who: Principal, ids: Sequence[int] | None = None) -> list[Document]:
        """Return those with these ids; without any, all."""
        asked = rows.DOCUMENTS + "where %(ids)s::bigint[] is null or document.id = any(%(ids)s)"
        with self._reading(who) as tx:
            found = tx.execute(asked + " order by source, uri", {"ids": None if ids is None else list(ids)})
            return [rows.document(*row) for row in found]

    def choices(self, who: Principal) -> Choices:
        """Return what a question of this principal can be narrowed to."""
        found: dict[str, list[Choice]] = {"source": [], "folder": [], "format": []}
        with self._reading(who) as tx:
            for kind, value, documents in tx.execute(CHOICES):
                found[kind].append(Choice(value, documents))
        return Choices(*(tuple(of_kind[:MOST_CHOICES]) for of_kind in found.values()))

    def audience(self, who: Principal, document_id: int) -> Audience:
        with self._reading(who) as tx:
            found = tx.execute(AUDIENCE, [document_id]).fetchone()
            return Audience(frozenset(found[0])) if found else NOBODY

    def browse(self, who: Principal) -> list[Passage]:
        with self._reading(who) as tx:
            found = tx.execute(f"{BROWSE} order by source, uri, ordinal")
            return [rows.passage(*row) for row in found]

    def read(self, who: Principal, document_id: int) -> list[Passage]:
        """Return one document's chunks in order; none if it is absent or not for `who`."""
        with self._reading(who) as tx:
            asked = f"{BROWSE} where document.id = %(id)s order by chunk.ordinal"
            return [rows.passage(*row) for row in tx.execute(asked.encode(), {"id": document_id})]

    def sensitive(self, who: Principal, chunk_ids: Sequence[int]) -> dict[int, tuple[Finding, ...]]:
        found: dict[int, tuple[Finding, ...]] = dict.fromkeys(chunk_ids, ())
        with self._reading(who) as tx:
            for chunk_id, kind, start, end in tx.execute(SENSITIVE, [list(chunk_ids)]):
                found[chunk_id] += (Finding(Kind(kind), Span(start, end)),)
        return found

    def nearest(
        self,
        who: Principal,
        vector: Vector,
        generation: int,
        limit: int,
        *,
        exact: bool,
        scope: Scope = EVERYTHING,
    ) -> list[Passage]:
        """Unless `exact`, large zones are searched through their graphs, and the others exactly."""
        with self._reading(who) as tx:
            zones = tx.execute(ZONES, [generation]).fetchall()
            graphs = {} if exact else {zone: int(chunks) for zone, chunks in zones if chunks is not None}
            shape = {
                "generation": generation,
                "dimensions": len(vector),
                "in_scope": scoping.condition(scope),
            }
            lanes = [EXACT.format(**shape), *(GRAPH.format(zone=zone, **shape) for zone in graphs)]
            if graphs:
                tx.execute(GRAPH_SETTINGS, [str(max(width(max(graphs.values())), limit))])
            compared = [zone for zone, _ in zones if zone not in graphs]
            found = tx.execute(
                NEAREST.format(lanes="union all".join(lanes)).encode(),
                {
                    "vector": half(vector),
                    "generation": generation,
                    "limit": limit,
                    "zones": compared,
                    **scoping.parameters(scope),
                },
            )
            return [rows.passage(*row) for row in found]

    def matching(
        self, who: Principal, terms: Sequence[str], limit: int, *, scope: Scope = EVERYTHING
    ) -> list[Passage]:
        with self._reading(who) as tx:
            return [rows.passage(*row) for row in bm25.best(tx, terms, limit, scope, self._cut)]

    def pictured(
        self, who: Principal, vector: Vector, embedder_sha256: str, limit: int, *, scope: Scope = EVERYTHING
    ) -> list[Passage]:
        with self._reading(who) as tx:
            return pictures.nearest(tx, vector, embedder_sha256, limit, scope)

    def _reading(self, who: Principal) -> AbstractContextManager[Connection]:
        each_of = who.groups if who.together else ()
        return self._postgres.reading(who.groups | {EVERYONE}, self._cut, each_of=each_of)


def width(chunks: int) -> int:
    """Return how many neighbours a walk through a graph of so many chunks keeps in view.

    Measured: 400 find .99 of the hundred nearest among 25,000, and 700 among 100,000.
    """
    wide: float = NARROWEST * (chunks / 25_000) ** 0.4
    return min(max(round(wide), NARROWEST), WIDEST)


class PostgresDirectory:
    """Who belongs to which group, as the sources last said."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def groups_of(self, person: str) -> frozenset[str]:
        return frozenset(group for group, _ in self.memberships_of(person))

    def memberships_of(self, person: str) -> list[tuple[str, str]]:
        """Return each group of a person with the source that says so."""
        with self._postgres.reading(()) as tx:
            return tx.execute(
                "select group_name, source from kiban.membership where person = %s", [person]
            ).fetchall()
