"""ports.SearchIndex: the index as one principal sees it.

Row-level security hides rows before anything is counted or ranked, so what a principal receives depends
on nothing else. The one exception is the graph lane: its graph runs through hidden rows as well, so they
can change which of the *visible* ones it finds. The exact lane has no exception.
"""

from __future__ import annotations

from collections.abc import Sequence

from kiban.backends.postgres import rows
from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.copying import half
from kiban.domain.access import EVERYONE, Principal
from kiban.domain.document import Document
from kiban.domain.question import Passage
from kiban.ports import Vector

BROWSE = f"with hit as (select id as chunk_id, 0 as score from kiban.chunk) {rows.PASSAGES}"

# "+ 0" keeps the planner from the graph: under a filter the graph returns too few rows, silently.
EXACT = f"""
with hit as materialized (
    select chunk_id, 1 - (vector <=> %(vector)s) as score from kiban.embedding
    where generation_id = %(generation)s
    order by (vector <=> %(vector)s) + 0, chunk_id limit %(limit)s
) {rows.PASSAGES} order by hit.score desc, chunk.id
"""

# The cast is the expression that the graph's index was built on.
GRAPH = f"""
with hit as materialized (
    select chunk_id, 1 - (vector <=> %(vector)s) as score from kiban.embedding
    where generation_id = %(generation)s
    order by vector::halfvec({{dimensions}}) <=> %(vector)s limit %(limit)s
) {rows.PASSAGES} order by hit.score desc, chunk.id
"""
GRAPH_SETTINGS = """
select set_config('hnsw.iterative_scan', 'strict_order', true), set_config('hnsw.ef_search', '200', true)
"""

# Okapi BM25 (Robertson & Zaragoza 2009, with Lucene's non-negative idf), k1 = 1.2, b = 0.75. All of its
# statistics are of visible chunks. Summed in the order of the terms, so the last bit is the same each time.
MATCHING = f"""
with visible as materialized (
    select count(*)::float8 as chunks, avg(length)::float8 as mean from kiban.chunk
), asked as materialized (
    select term, number::integer from unnest(%(terms)s::text[]) with ordinality as asked (term, number)
), found as materialized (
    select number, chunk_id, frequency::float8, length::float8 from asked join kiban.posting using (term)
), weight as materialized (
    select number, ln(1 + ((select chunks from visible) - holding + 0.5) / (holding + 0.5)) as idf
    from (select number, count(*)::float8 as holding from found group by number) as counted
), hit as materialized (
    select chunk_id, sum(
        idf * frequency * 2.2 / (frequency + 1.2 * (0.25 + 0.75 * length / (select mean from visible)))
        order by number
    ) as score
    from found join weight using (number)
    group by chunk_id order by score desc, chunk_id limit %(limit)s
) {rows.PASSAGES} order by hit.score desc, chunk.id
"""


class PostgresSearch:
    """Reads as kiban_reader. Every call raises PartUnavailable when Postgres does not answer."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def visible_chunks(self, who: Principal) -> int:
        with self._postgres.reading(_groups(who)) as tx:
            found = tx.execute("select count(*) from kiban.chunk").fetchone()
            assert found is not None
            return int(found[0])

    def documents(self, who: Principal) -> list[Document]:
        with self._postgres.reading(_groups(who)) as tx:
            return [rows.document(*row) for row in tx.execute(rows.DOCUMENTS + "order by source, uri")]

    def browse(self, who: Principal) -> list[Passage]:
        with self._postgres.reading(_groups(who)) as tx:
            found = tx.execute(f"{BROWSE} order by document.id, chunk.ordinal")
            return [rows.passage(*row) for row in found]

    def read(self, who: Principal, document_id: int) -> list[Passage]:
        """Return one document's chunks in order; none if it is absent or not for `who`."""
        with self._postgres.reading(_groups(who)) as tx:
            asked = f"{BROWSE} where document.id = %(id)s order by chunk.ordinal"
            return [rows.passage(*row) for row in tx.execute(asked.encode(), {"id": document_id})]

    def nearest(
        self, who: Principal, vector: Vector, generation: int, limit: int, *, exact: bool
    ) -> list[Passage]:
        asked = {"vector": half(vector), "generation": generation, "limit": limit}
        with self._postgres.reading(_groups(who)) as tx:
            if exact:
                found = tx.execute(EXACT, asked)
            else:
                tx.execute(GRAPH_SETTINGS)
                found = tx.execute(GRAPH.format(dimensions=len(vector)).encode(), asked)
            return [rows.passage(*row) for row in found]

    def matching(self, who: Principal, terms: Sequence[str], limit: int) -> list[Passage]:
        with self._postgres.reading(_groups(who)) as tx:
            found = tx.execute(MATCHING, {"terms": sorted(set(terms)), "limit": limit})
            return [rows.passage(*row) for row in found]


class PostgresDirectory:
    """Who belongs to which group, as the sources last said."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def groups_of(self, person: str) -> frozenset[str]:
        with self._postgres.reading(()) as tx:
            found = tx.execute("select distinct group_name from kiban.membership where person = %s", [person])
            return frozenset(group for (group,) in found)


def _groups(who: Principal) -> frozenset[str]:
    return who.groups | {EVERYONE}
