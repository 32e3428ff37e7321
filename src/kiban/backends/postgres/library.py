"""ports.Library: documents stored whole, by binary COPY."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import compress

from kiban.backends.postgres import copying, graphs, pictures, rows
from kiban.backends.postgres.connect import Connection, Postgres
from kiban.backends.postgres.copying import Shelved, storable
from kiban.backends.postgres.graphs import Graph
from kiban.domain.access import Audience
from kiban.domain.document import Arrival, Chunk, Document, Listed, Place, SourceFile
from kiban.domain.generation import FIRST_CUT, Cut
from kiban.domain.text import Span
from kiban.ports import Vector

# A version counts contents seen; attempts count failures in a row.
RECORD = """
insert into kiban.document as known (
    source, uri, title, sha256, size, zone_id, state, reason, attempts, tag, url, modified, identity
) values (
    %(source)s, %(uri)s, %(title)s, %(sha256)s, %(size)s, %(zone)s, %(state)s, %(reason)s, %(attempts)s,
    %(tag)s, %(url)s, %(modified)s, %(identity)s
)
on conflict (source, uri) do update set
    version = known.version + (known.sha256 <> excluded.sha256)::int,
    title = coalesce(nullif(excluded.title, ''), known.title),
    sha256 = excluded.sha256, size = excluded.size, zone_id = excluded.zone_id, state = excluded.state,
    since = now(), reason = excluded.reason,
    attempts = case
        when excluded.state <> 'failed' then 0
        when known.sha256 = excluded.sha256 then known.attempts + 1
        else 1
    end,
    tag = excluded.tag, url = excluded.url, modified = excluded.modified, identity = excluded.identity,
    lease = '', deaths = 0, due = now()
returning id
"""

BURY = """
insert into kiban.tombstone (document_id, source, uri, version, why)
select id, source, uri, version, %s from kiban.document where id = any(%s)
"""

WITHOUT = """
select chunk.id, title, ordinal, span_start, span_end, page, sheet, slide, heading, anchor, original,
       normalised
from kiban.chunk join kiban.document on document.id = document_id
where cut_id = (select cut_id from kiban.generation where id = %(generation)s) and not exists (
    select from kiban.embedding where generation_id = %(generation)s and chunk_id = chunk.id
)
order by chunk.id limit %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """How much the library holds."""

    documents: int
    failed: int
    chunks: int
    zones: int
    without_vector: int  # chunks that no generation can find by meaning


class PostgresLibrary:
    """Where documents are kept, as kiban_writer. Every call is one transaction."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def documents(self, source: str | None = None) -> list[Document]:
        with self._postgres.writing() as tx:
            found = tx.execute(
                rows.DOCUMENTS + "where %(source)s::text is null or source = %(source)s order by source, uri",
                {"source": source},
            )
            return [rows.document(*row) for row in found]

    def put(
        self,
        source: str,
        arrivals: Sequence[Arrival],
        vectors: Mapping[int, Sequence[Vector]],
        lease: str = "",
    ) -> frozenset[str]:
        with self._storing(source) as tx:
            zones = _still_leased(tx, source, lease) if lease else _zones(tx, arrivals)
            documents = _record_all(tx, source, arrivals, zones)
            cuts = _cuts(tx, vectors)
            alive = {FIRST_CUT, *cuts.values()}
            stored = [each for each in arrivals if each.file.uri in zones and each.cut in alive]
            shelved = _shelve(tx, stored, documents)
            copying.chunks(tx, shelved)
            copying.sensitive(tx, shelved)
            copying.postings(tx, shelved)
            for generation, cut in cuts.items():
                keys = [(item.id, item.zone) for item in shelved if item.cut == cut]
                taken = [each.file.uri in zones for each in arrivals if each.cut == cut for _ in each.chunks]
                copying.embeddings(tx, generation, keys, compress(vectors[generation], taken))
            pictures.store(tx, stored, shelved)
            return frozenset(documents)

    def fail(self, source: str, file: SourceFile, reason: str) -> None:
        with self._storing(source) as tx:
            zone = zone_of(tx, file.audience)
            found = tx.execute(RECORD, _record(source, file, zone, state="failed", reason=reason))
            clear(tx, list(found.fetchone() or ()))

    def move_audience(self, source: str, listed: Listed | SourceFile) -> None:
        with self._storing(source) as tx:
            tx.execute(
                "update kiban.document set zone_id = %s where source = %s and uri = %s",
                [zone_of(tx, listed.audience), source, listed.uri],
            )

    def delete(self, source: str, uris: Iterable[str], why: str = "gone from its source") -> int:
        with self._storing(source) as tx:
            found = tx.execute(
                "select id from kiban.document where source = %s and uri = any(%s)", [source, list(uris)]
            )
            documents = [id for (id,) in found]
            tx.execute(BURY, [why, documents])
            clear(tx, documents)
            return tx.execute("delete from kiban.document where id = any(%s)", [documents]).rowcount

    def set_memberships(self, source: str, memberships: Mapping[str, frozenset[str]]) -> None:
        with self._storing(source) as tx:
            tx.execute("delete from kiban.membership where source = %s", [source])
            copying.memberships(tx, source, memberships)

    def forget_memberships(self, beginning: str, but: Sequence[str]) -> None:
        """Forget what sources said whose names begin so, but these."""
        gone = "delete from kiban.membership where starts_with(source, %s) and source <> all(%s)"
        with self._postgres.writing() as tx:
            tx.execute(gone, [beginning, list(but)])

    def counts(self) -> Counts:
        with self._postgres.writing() as tx:
            found = tx.execute(
                "select (select count(*) from kiban.document),"
                " (select count(*) from kiban.document where state = 'failed'),"
                " (select count(*) from kiban.chunk),"
                " (select count(*) from kiban.zone where exists"
                "   (select from kiban.document where zone_id = zone.id)),"
                " (select count(*) from kiban.chunk where not exists"
                "   (select from kiban.embedding where chunk_id = chunk.id))"
            )
            return Counts(*found.fetchone() or ())

    def add_generation(
        self, embedder: str, sha256: str, dimensions: int, tokenizer: str, chunking: str
    ) -> int:
        """Return the generation made of these parts, beginning an empty one if there is none."""
        with self._postgres.writing() as tx:
            found = tx.execute(
                "select kiban.add_generation(%s, %s, %s, %s, %s)",
                [embedder, sha256, dimensions, tokenizer, chunking],
            ).fetchone()
            assert found is not None
            return int(found[0])

    def generations(self) -> list[tuple[int, str, str, Cut]]:
        """Return (id, embedder's path, its sha256, cut) of every generation."""
        with self._postgres.writing() as tx:
            found = tx.execute(
                "select id, embedder, embedder_sha256, cut_id, tokenizer, chunking"
                " from kiban.generation order by id"
            )
            return [(int(id), str(path), str(sha256), Cut(*cut)) for id, path, sha256, *cut in found]

    def chunks_without(self, generation: int, limit: int = 2048) -> dict[int, tuple[str, Chunk]]:
        """Return chunks that have no vector in `generation` yet: by id, the document's title and the chunk
        without its terms."""
        with self._postgres.writing() as tx:
            return {
                id: (title, Chunk(ordinal, Span(start, end), Place(*place), original, normalised))
                for id, title, ordinal, start, end, *place, original, normalised in tx.execute(
                    WITHOUT, {"generation": generation, "limit": limit}
                )
            }

    def add_embeddings(self, generation: int, ids: Sequence[int], vectors: Sequence[Vector]) -> None:
        """Store one vector per chunk; chunks that have gone meanwhile are passed over."""
        with self._postgres.writing() as tx:
            zones = dict(
                tx.execute(
                    "select id, zone_id from kiban.chunk where id = any(%s) for share", [list(ids)]
                ).fetchall()
            )
            there = [(id, vector) for id, vector in zip(ids, vectors, strict=True) if id in zones]
            keys = [(id, zones[id]) for id, _ in there]
            copying.embeddings(tx, generation, keys, [vector for _, vector in there])

    def tend_index(self, zone_chunks: int = 10_000) -> list[Graph]:
        """Add up the tallies, and build a graph for each zone that holds `zone_chunks` chunks; see graphs.py.

        Done after storing much. Reading and storing go on meanwhile. Returns the graphs that were built.
        """
        self.tend_tallies()
        return graphs.tend(self._postgres.admin_dsn, zone_chunks)

    def tend_tallies(self) -> None:
        """Add up the differences that storing has left."""
        with self._postgres.writing() as tx:
            tx.execute("select kiban.settle_tallies()")

    def drop_generation(self, generation: int) -> None:
        """Remove a generation and its vectors; Postgres refuses if a release was made with it."""
        with self._postgres.writing() as tx:
            tx.execute("select kiban.drop_generation(%s)", [generation])

    @contextmanager
    def _storing(self, source: str) -> Iterator[Connection]:
        with self._postgres.writing() as tx:
            alone(tx, source)
            yield tx


def alone(tx: Connection, source: str) -> None:
    """Let no other store of this source overlap with this transaction, so that none deadlock."""
    tx.execute("select pg_advisory_xact_lock(hashtext(%s))", [source])


def zone_of(tx: Connection, audience: Audience) -> int:
    readers = sorted(audience.groups)
    tx.execute("insert into kiban.zone (readers) values (%s) on conflict (readers) do nothing", [readers])
    found = tx.execute("select id from kiban.zone where readers = %s", [readers]).fetchone()
    assert found is not None
    return int(found[0])


def _record(
    source: str, file: SourceFile, zone: int, *, state: str, title: str = "", reason: str = ""
) -> dict[str, object]:
    return {
        "source": source,
        "uri": file.uri,
        "title": storable(title),
        "sha256": file.sha256,
        "size": file.size,
        "zone": zone,
        "state": state,
        "reason": storable(reason),
        "attempts": int(state == "failed"),
        "tag": storable(file.tag),
        "url": storable(file.url),
        "modified": file.modified,
        "identity": storable(file.identity),
    }


def clear(tx: Connection, documents: list[int]) -> None:
    """Delete what documents say: postings at once, for chunk by chunk they would be counted off singly."""
    of_these = "select id from kiban.chunk where document_id = any(%s)"
    tx.execute(f"delete from kiban.posting where chunk_id in ({of_these})".encode(), [documents])
    tx.execute("delete from kiban.chunk where document_id = any(%s)", [documents])


def _zones(tx: Connection, arrivals: Sequence[Arrival]) -> dict[str, int]:
    """Return each document's zone by uri, as the arrivals say."""
    zones = {audience: zone_of(tx, audience) for audience in {arrival.file.audience for arrival in arrivals}}
    return {arrival.file.uri: zones[arrival.file.audience] for arrival in arrivals}


def _still_leased(tx: Connection, source: str, lease: str) -> dict[str, int]:
    """Return each document's zone by uri, as was recorded last, of those that are lent under this lease."""
    found = tx.execute(
        "select uri, zone_id from kiban.document where source = %s and lease = %s for update", [source, lease]
    )
    return {uri: int(zone) for uri, zone in found}


def _record_all(
    tx: Connection, source: str, arrivals: Sequence[Arrival], zones: Mapping[str, int]
) -> dict[str, tuple[int, int]]:
    """Record the documents that have a zone, and clear what their older versions said in any cut; return
    (id, zone) by uri."""
    once = {each.file.uri: each for each in arrivals if each.file.uri in zones}
    records = [
        _record(source, each.file, zones[uri], state="ready", title=each.title) for uri, each in once.items()
    ]
    if not records:
        return {}
    with tx.cursor() as cursor:  # all in one trip to the server
        cursor.executemany(RECORD, records, returning=True)
        ids = [int(id) for found in cursor.results() for (id,) in found]
    documents = {uri: (id, zones[uri]) for uri, id in zip(once, ids, strict=True)}
    clear(tx, [id for id, _ in documents.values()])
    return documents


def _cuts(tx: Connection, generations: Iterable[int]) -> dict[int, int]:
    """Return the cut of each generation that is still there; asked once chunks are locked, so that none goes
    before they are stored."""
    asked = "select id, cut_id from kiban.generation where id = any(%s) order by id"
    return dict(tx.execute(asked, [list(generations)]).fetchall())


def _shelve(
    tx: Connection, arrivals: Sequence[Arrival], documents: Mapping[str, tuple[int, int]]
) -> list[Shelved]:
    """Give each chunk its keys."""
    ids = new_ids(tx, sum(len(arrival.chunks) for arrival in arrivals))
    return [
        Shelved(next(ids), *documents[arrival.file.uri], chunk, arrival.cut)
        for arrival in arrivals
        for chunk in arrival.chunks
    ]


def new_ids(tx: Connection, count: int) -> Iterator[int]:
    """Return keys for so many chunks."""
    found = tx.execute("select nextval('kiban.chunk_id_seq') from generate_series(1, %s)", [count])
    return (id for (id,) in found)
