"""Many chunks into the library's tables at once, past the library: what a scale bench only needs to be there.

Rows of text tables go in as text, which Python joins faster than it packs, vectors as binary straight from
numpy. Keys and indexes of postings and the tallies are made once at the end, as a restored dump makes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from kiban.bench.scale_material import ZONES, Drawn, Material, Matrix, draw, terms_of
from kiban.domain.document import SECTION_BREAK
from kiban.ports import Progress

Admin = psycopg.Connection[Any]

DOCUMENT = 20  # chunks
BLOCK = 20_000  # chunks a transaction
CHUNK = "id, document_id, zone_id, ordinal, span_start, span_end, original, normalised, length"
POSTING = "term, chunk_id, zone_id, frequency, length"
EMBEDDING = "generation_id, chunk_id, zone_id, vector"
UNKEYED = (
    "alter table kiban.posting drop constraint posting_key",
    "drop index kiban.posting_chunk",
    "truncate kiban.zone_tally, kiban.term_tally",
)
KEY = "constraint posting_key primary key (term, zone_id, chunk_id) include (frequency, length)"
TALLY = """
insert into kiban.zone_tally (zone_id, chunks, length) select zone_id, count(*), sum(length) from kiban.chunk
group by zone_id
"""
KEYED = (
    "create index posting_chunk on kiban.posting (chunk_id, zone_id)",
    f"alter table kiban.posting add {KEY}",
    TALLY,
    "insert into kiban.term_tally select term, zone_id, count(*) from kiban.posting group by 1, 2",
)
ZONE = """
insert into kiban.zone (readers) values (%(readers)s)
on conflict (readers) do update set readers = excluded.readers returning id
"""
DOCUMENTS = """
insert into kiban.document (source, uri, title, sha256, size, zone_id, state)
select 'bench', name, name, name, 0, zone, 'ready' from unnest(%s::text[], %s::integer[]) as told (name, zone)
returning id
"""
ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})  # as COPY reads text
IDS = "select setval('kiban.chunk_id_seq', nextval('kiban.chunk_id_seq') + %s) - %s"


def fill(
    dsn: str, generation: int, material: Material, chunks: int, *, stored: int, seed: int, progress: Progress
) -> None:
    """Store so many chunks as a superuser, beside `stored` others."""
    chance = np.random.default_rng(seed)
    material = replace(material, terms=[[term.translate(ESCAPED) for term in one] for one in material.terms])
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(
            "set session_replication_role = replica"
        )  # no triggers: what they would do is done here
        zones = [_zone(admin, readers) for _, readers in ZONES]
        for statement in UNKEYED:
            admin.execute(statement.encode())
        for done in range(0, chunks, BLOCK):
            drawn = draw(material, min(BLOCK, chunks - done), chance)
            with admin.transaction():
                _block(admin, generation, material, drawn, zones, first=stored + done)
            progress(stored + done + len(drawn.zones), stored + chunks, "chunks")
        for number, statement in enumerate(KEYED, start=1):
            admin.execute(statement.encode())
            progress(number, len(KEYED), "indexes")


def _zone(admin: Admin, readers: Sequence[str]) -> int:
    (found,) = admin.execute(ZONE, {"readers": sorted(readers)}).fetchone() or (0,)
    return int(found)


def _block(
    admin: Admin, generation: int, material: Material, drawn: Drawn, zones: Sequence[int], *, first: int
) -> None:
    """Store one block, zone by zone and document by document; its chunks are numbered from `first`."""
    count = len(drawn.zones)
    by_zone = np.argsort(drawn.zones, kind="stable")
    of = np.array(zones)[drawn.zones[by_zone]]
    starts = [start for begin, end in _runs(of) for start in range(begin, end, DOCUMENT)]
    names = [f"bulk {first + start}" for start in starts]
    told = admin.execute(DOCUMENTS, [names, [int(of[start]) for start in starts]]).fetchall()
    (id,) = admin.execute(IDS, [count, count]).fetchone() or (0,)
    terms = [
        terms_of(material, int(drawn.ones[at]), int(drawn.others[at]), int(drawn.seeds[at]), first + int(at))
        for at in by_zone
    ]
    sizes = [end - start for start, end in pairwise([*starts, count])]
    rows = _chunks(terms, of, [document for (document,) in told], sizes, int(id))
    _copy(admin, "chunk", CHUNK, rows)
    _copy(admin, "posting", POSTING, _postings(terms, of, int(id)))
    with admin.cursor() as cursor:
        into = f"copy kiban.embedding_{generation} ({EMBEDDING}) from stdin (format binary)"
        with cursor.copy(into.encode()) as copied:
            copied.write(_binary(generation, int(id), of, drawn.vectors[by_zone]))


def _runs(of: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield (begin, end) of each run of equal values."""
    changes = np.flatnonzero(np.diff(of)) + 1
    yield from pairwise([0, *changes.tolist(), len(of)])


def _chunks(
    terms: Sequence[Sequence[str]],
    zones: NDArray[np.int64],
    documents: Sequence[int],
    sizes: Sequence[int],
    id: int,
) -> Iterator[str]:
    at = 0
    for document, size in zip(documents, sizes, strict=True):
        texts = [" ".join(one) for one in terms[at : at + size]]
        starts = accumulate((len(text) + len(SECTION_BREAK) for text in texts), initial=0)
        for ordinal, (text, start) in enumerate(zip(texts, starts, strict=False)):
            yield (
                f"{id + at}\t{document}\t{zones[at]}\t{ordinal}\t{start}\t{start + len(text)}"
                f"\t{text}\t{text}\t{len(terms[at])}\n"
            )
            at += 1


def _postings(terms: Sequence[Sequence[str]], zones: NDArray[np.int64], id: int) -> Iterator[str]:
    for at, (said, zone) in enumerate(zip(terms, zones, strict=True)):
        end = f"\t{len(said)}\n"
        begin = f"\t{id + at}\t{zone}\t"
        yield "".join([f"{term}{begin}{frequency}{end}" for term, frequency in Counter(said).items()])


def _copy(admin: Admin, table: str, columns: str, rows: Iterable[str]) -> None:
    with admin.cursor() as cursor:
        with cursor.copy(f"copy kiban.{table} ({columns}) from stdin".encode()) as copied:
            waiting: list[str] = []
            for row in rows:
                waiting.append(row)
                if len(waiting) == 500:
                    copied.write("".join(waiting))
                    waiting.clear()
            copied.write("".join(waiting))


def _binary(generation: int, id: int, zones: NDArray[np.int64], vectors: Matrix) -> bytes:
    """Return rows of EMBEDDING as COPY's binary format has them: each field after its length, big-endian;
    a halfvec is its dimensions, two empty bytes and the halves."""
    dimensions = vectors.shape[1]
    row = np.dtype(
        [
            ("fields", ">i2"),
            ("length_1", ">i4"),
            ("generation", ">i4"),
            ("length_2", ">i4"),
            ("chunk", ">i8"),
            ("length_3", ">i4"),
            ("zone", ">i4"),
            ("length_4", ">i4"),
            ("dimensions", ">i2"),
            ("unused", ">i2"),
            ("vector", ">f2", (dimensions,)),
        ]
    )
    rows = np.zeros(len(zones), row)
    rows["fields"], rows["length_1"], rows["length_2"], rows["length_3"] = 4, 4, 8, 4
    rows["length_4"], rows["dimensions"] = 4 + 2 * dimensions, dimensions
    rows["generation"], rows["zone"], rows["vector"] = generation, zones, vectors
    rows["chunk"] = np.arange(id, id + len(zones))
    return b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows.tobytes() + b"\xff\xff"
