"""Rows into tables by binary COPY, the fastest way into Postgres."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pgvector import HalfVector

from kiban.backends.postgres.connect import Connection
from kiban.domain.document import Chunk
from kiban.domain.generation import FIRST_CUT
from kiban.ports import Vector

CHUNK = {
    "id": "int8",
    "document_id": "int8",
    "zone_id": "int4",
    "ordinal": "int4",
    "span_start": "int4",
    "span_end": "int4",
    "page": "int4",
    "sheet": "text",
    "slide": "int4",
    "heading": "text",
    "anchor": "text",
    "original": "text",
    "normalised": "text",
    "length": "int4",
    "cut_id": "int4",
    "lead": "text",
}
POSTING = {"term": "text", "chunk_id": "int8", "zone_id": "int4", "frequency": "int4", "length": "int4"}
EMBEDDING = {"generation_id": "int4", "chunk_id": "int8", "zone_id": "int4", "vector": "halfvec"}
SENSITIVE = {"chunk_id": "int8", "zone_id": "int4", "kind": "text", "span_start": "int4", "span_end": "int4"}
MEMBERSHIP = {"source": "text", "person": "text", "group_name": "text"}

UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # what Postgres cannot hold as text


@dataclass(frozen=True, slots=True)
class Shelved:
    """A chunk with the keys it is stored under."""

    id: int
    document_id: int
    zone: int
    chunk: Chunk
    cut: int = FIRST_CUT


def storable(text: str) -> str:
    """Put U+FFFD where Postgres cannot hold a character; lengths, and so spans, stay."""
    return UNSTORABLE.sub("\ufffd", text)


def chunks(tx: Connection, shelved: Iterable[Shelved]) -> None:
    copy(tx, "chunk", CHUNK, map(_chunk_row, shelved))


def sensitive(tx: Connection, shelved: Iterable[Shelved]) -> None:
    records = [
        (item.id, item.zone, finding.kind.value, finding.span.start, finding.span.end)
        for item in shelved
        for finding in item.chunk.sensitive
    ]
    if records:
        copy(tx, "sensitive", SENSITIVE, records)


def postings(tx: Connection, shelved: Iterable[Shelved]) -> None:
    """Store how often each chunk uses each term, in the key's order: each index page is visited once."""
    copy(tx, "posting", POSTING, sorted(row for item in shelved for row in _posting_rows(item)))


def embeddings(
    tx: Connection, generation: int, keys: Iterable[tuple[int, int]], vectors: Iterable[Vector]
) -> None:
    """Store one vector for each (chunk id, zone id)."""
    records = (
        (generation, chunk_id, zone, half(vector))
        for (chunk_id, zone), vector in zip(keys, vectors, strict=True)
    )
    copy(tx, "embedding", EMBEDDING, records)


def memberships(tx: Connection, source: str, groups_by_person: Mapping[str, frozenset[str]]) -> None:
    records = (
        (source, person, group) for person, groups in groups_by_person.items() for group in sorted(groups)
    )
    copy(tx, "membership", MEMBERSHIP, records)


def half(vector: Vector) -> HalfVector:
    return HalfVector(np.asarray(vector, dtype=np.float32))


def _chunk_row(item: Shelved) -> tuple[object, ...]:
    chunk, place = item.chunk, item.chunk.place
    return (
        item.id,
        item.document_id,
        item.zone,
        chunk.ordinal,
        chunk.span.start,
        chunk.span.end,
        place.page,
        None if place.sheet is None else storable(place.sheet),
        place.slide,
        storable(place.heading),
        storable(place.anchor),
        storable(chunk.original),
        storable(chunk.normalised),
        len(chunk.terms),
        item.cut,
        chunk.lead,
    )


def _posting_rows(item: Shelved) -> Iterator[tuple[str, int, int, int, int]]:
    length = len(item.chunk.terms)
    for term, frequency in Counter(in_vocabulary(item.cut, item.chunk.terms)).items():
        yield term, item.id, item.zone, frequency, length


def in_vocabulary(cut: int, terms: Iterable[str]) -> list[str]:
    """Return terms as a cut's postings hold them: behind its number and U+001F, at which tokenisers cut.

    The first cut's have nothing before them, so that what was stored before there were others stays."""
    before = "" if cut == FIRST_CUT else f"{cut}\x1f"
    return [before + storable(term) for term in terms]


def copy(tx: Connection, table: str, columns: Mapping[str, str], records: Iterable[Sequence[object]]) -> None:
    """Copy into a table. By way of a temporary one: COPY refuses a table under row-level security."""
    names = ", ".join(columns)
    tx.execute(f"create temporary table incoming (like kiban.{table}) on commit drop".encode())
    with tx.cursor() as cursor:
        with cursor.copy(f"copy incoming ({names}) from stdin (format binary)".encode()) as incoming:
            incoming.set_types(list(columns.values()))
            for record in records:
                incoming.write_row(record)
    tx.execute(
        f"insert into kiban.{table} ({names}) overriding system value select {names} from incoming".encode()
    )
    tx.execute("drop table incoming")
