"""Cuts beside the first: documents cut anew from what is stored, and cleared away when nothing needs them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from kiban.backends.postgres import copying, pictures
from kiban.backends.postgres.connect import Connection, Postgres
from kiban.backends.postgres.copying import Shelved
from kiban.backends.postgres.library import alone, new_ids
from kiban.domain.document import Chunk, CutDocument, Place
from kiban.domain.text import Span

UNCUT = """
select document.id, source, title from kiban.document
where document.id > %(after)s
    and exists (select from kiban.chunk where document_id = document.id)
    and not exists (select from kiban.chunk where document_id = document.id and cut_id = %(cut)s)
order by document.id limit %(limit)s
"""

# In the first cut that holds the document: all hold the same text.
SAID = """
select document_id, id, ordinal, span_start, span_end, page, sheet, slide, heading, anchor, original,
       normalised, lead
from kiban.chunk
where document_id = any(%s) and cut_id = (
    select min(cut_id) from kiban.chunk as known where known.document_id = chunk.document_id
)
order by document_id, ordinal
"""

STILL_UNCUT = """
select id, zone_id from kiban.document
where id = any(%(documents)s)
    and exists (select from kiban.generation where cut_id = %(cut)s)
    and not exists (select from kiban.chunk where document_id = document.id and cut_id = %(cut)s)
"""

LEFT_OVER = "cut_id <> 1 and cut_id not in (select cut_id from kiban.generation)"
LEFT = f"""
select source, array_agg(document_id) from (
    select distinct document_id from kiban.chunk where {LEFT_OVER} limit %s
) as left_over join kiban.document on document.id = document_id
group by source
"""


class PostgresCuts:
    """As kiban_writer. Every call raises PartUnavailable when Postgres does not answer."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def lacking(self, cut: int, after: int = 0, limit: int = 64) -> list[CutDocument]:
        """Return documents that no chunk of `cut` is of, by id from `after` on."""
        with self._postgres.writing() as tx:
            asked = {"cut": cut, "after": after, "limit": limit}
            lacking = {id: (source, title) for id, source, title in tx.execute(UNCUT, asked)}
            found = tx.execute(SAID, [list(lacking)])
            return [
                _document(id, *lacking[id], [row[1:] for row in said])
                for id, said in groupby(found, key=itemgetter(0))
            ]

    def put(self, cut: int, source: str, again: Sequence[tuple[CutDocument, Sequence[Chunk]]]) -> int:
        """Store what documents of one source say in another cut; return how many chunks that is.

        A document that was stored anew, cut or deleted meanwhile is passed over, and so is all when the cut's
        last generation was dropped.
        """
        with self._postgres.writing() as tx:
            alone(tx, source)
            tx.execute("lock table kiban.chunk in row exclusive mode")  # then no generation comes or goes
            documents = [document.document_id for document, _ in again]
            zones = dict(tx.execute(STILL_UNCUT, {"documents": documents, "cut": cut}).fetchall())
            same = [pair for pair in again if pair[0].document_id in zones and _is_there(tx, pair[0])]
            ids = new_ids(tx, sum(len(chunks) for _, chunks in same))
            shelved = [
                Shelved(next(ids), document.document_id, zones[document.document_id], chunk, cut)
                for document, chunks in same
                for chunk in chunks
            ]
            copying.chunks(tx, shelved)
            copying.sensitive(tx, shelved)
            copying.postings(tx, shelved)
            pictures.put_again(tx, [id for document, _ in same for id in document.ids], cut)
            return len(shelved)

    def clear(self, batch: int = 200) -> int:
        """Remove the chunks of cuts that no generation has any more, so many documents at a time; return how
        many chunks went. Begun again, it continues."""
        gone = 0
        while left := self._left(batch):
            for source, documents in left:
                with self._postgres.writing() as tx:
                    alone(tx, source)
                    of_these = f"document_id = any(%s) and {LEFT_OVER}"
                    tx.execute(
                        f"delete from kiban.posting where chunk_id in"
                        f" (select id from kiban.chunk where {of_these})".encode(),
                        [documents],
                    )
                    gone += tx.execute(
                        f"delete from kiban.chunk where {of_these}".encode(), [documents]
                    ).rowcount
        return gone

    def _left(self, batch: int) -> list[tuple[str, list[int]]]:
        with self._postgres.writing() as tx:
            return [(str(source), list(ids)) for source, ids in tx.execute(LEFT.encode(), [batch])]


def _is_there(tx: Connection, document: CutDocument) -> bool:
    """Say whether the document still says what it said."""
    found = tx.execute("select count(*) from kiban.chunk where id = any(%s)", [list(document.ids)])
    return found.fetchone() == (len(document.ids),)


def _document(id: int, source: str, title: str, said: Sequence[Sequence[object]]) -> CutDocument:
    ids, chunks = zip(*map(_chunk, said), strict=True)
    return CutDocument(source, id, title, ids, chunks)


def _chunk(row: Sequence[object]) -> tuple[int, Chunk]:
    id, ordinal, start, end, *place, original, normalised, lead = row
    return id, Chunk(ordinal, Span(start, end), Place(*place), original, normalised, lead=lead)  # type: ignore
