"""Our own library and search, driven like every peer: with row-level security, three roles and postings."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from speak import Load, serve

from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.queue import PostgresQueue
from kiban.backends.postgres.schema import READER, WRITER, dsn_as, migrate
from kiban.backends.postgres.search import PostgresSearch
from kiban.domain.access import EVERYONE, Audience, Principal
from kiban.domain.document import Arrival, Chunk, Listed, Listing, Place, SourceFile
from kiban.domain.text import Span
from kiban.ingest.survey import survey
from kiban.retrieve.search import find

LANES = {"dense": ("dense",), "lexical": ("lexical",), "fused": ("dense", "lexical")}
BATCH = 256  # documents
SOURCE = "bench"


class Kiban:
    """Everyone may read everything: what the permissions cost is in every figure all the same."""

    embeds_again = False
    lane = "fused"
    name = SOURCE

    def __init__(self, load: Load) -> None:
        self._load = load
        migrate(load.dsn, load.passwords)
        writer, reader = (dsn_as(load.dsn, role, load.passwords[role]) for role in (WRITER, READER))
        postgres = Postgres(writer, reader, admin_dsn=load.dsn)
        self._library, self._index = PostgresLibrary(postgres), PostgresSearch(postgres)
        self._queue = PostgresQueue(postgres)
        self._vectors = load.vector_of()
        self._terms = dict(zip(load.parts, load.part_terms, strict=True))
        self._terms |= dict(zip(load.questions, load.question_terms, strict=True))
        self._who = Principal("bench", frozenset())
        self._numbers: dict[tuple[str, int], int] = {}
        self._arrivals = list(self._cut())

    # --- the shared embedder and the shared terms ---

    @property
    def dimensions(self) -> int:
        return int(self._load.vectors.shape[1])

    def query(self, text: str) -> list[float]:
        return self._vectors[text]

    def terms(self, text: str) -> list[str]:
        return self._terms[text]

    # --- the source, for an unchanged corpus ---

    def listing(self, cursor: str = "") -> Listing:
        return Listing([Listed(f.uri, f.tag, f.size, f.audience) for f in self._files()])

    def memberships(self) -> Mapping[str, frozenset[str]]:
        return {}

    # --- what is measured ---

    def ingest(self) -> None:
        self._generation = self._library.add_generation("bench", "bench", self.dimensions, "bench", "bench")
        start = 0
        for at in range(0, len(self._arrivals), BATCH):
            batch = self._arrivals[at : at + BATCH]
            end = start + sum(len(arrival.chunks) for arrival in batch)
            self._library.put(SOURCE, batch, {self._generation: self._load.vectors[start:end]})
            start = end
        self._library.tend_index()

    def again(self) -> None:
        found = survey(self, self._library, self._queue)
        assert found.unchanged == len(self._arrivals), found

    def ask(self, number: int, k: int) -> list[int]:
        found = find(
            self._load.questions[number],
            self._who,
            index=self._index,
            tokenizer=self,
            embedder=self,
            generation=self._generation,
            limit=k,
            lanes=LANES[self.lane],
        )
        return [self._numbers[passage.uri, passage.span.start] for passage in found]

    def _files(self) -> Iterator[SourceFile]:
        return (arrival.file for arrival in self._arrivals)

    def _cut(self) -> Iterator[Arrival]:
        load = self._load
        for document, numbers in groupby(range(len(load.texts)), key=lambda number: load.documents[number]):
            chunks, start = [], 0
            for ordinal, number in enumerate(numbers):
                text = load.texts[number]
                span = Span(start, start + len(text))
                chunks.append(Chunk(ordinal, span, Place(), text, text, tuple(load.terms[number])))
                self._numbers[document, start] = number
                start = span.end + 2
            whole = hashlib.sha256("\n".join(chunk.original for chunk in chunks).encode()).hexdigest()
            readers = Audience(frozenset({EVERYONE}))
            file = SourceFile(document, Path(document), start, whole, readers, tag=whole)
            yield Arrival(file, document, tuple(chunks))


if __name__ == "__main__":
    serve(Kiban, "psycopg")
