"""A folder in BEIR layout with answers, as an index, and as questions to learn from or to judge by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.scratch import scratch_database
from kiban.backends.postgres.search import PostgresSearch
from kiban.bench import beir
from kiban.domain.access import EVERYONE, Audience, Principal
from kiban.domain.document import Arrival, Document
from kiban.domain.learning import Lineage, Question
from kiban.domain.question import Passage
from kiban.ingest import chunking
from kiban.ports import Embedder, Progress, Tokenizer
from kiban.retrieve.rerank import Reranking
from kiban.retrieve.search import find

ALL = Audience(frozenset({EVERYONE}))
SOMEONE = Principal("bench", frozenset())
BATCH = 64  # documents


@dataclass(frozen=True, slots=True)
class Classroom:
    """A corpus that has been read, and can be searched with any embedder it has vectors of."""

    library: PostgresLibrary
    index: PostgresSearch
    tokenizer: Tokenizer

    @classmethod
    @contextmanager
    def of(
        cls, folder: Path, admin_dsn: str, passwords: Mapping[str, str], tokenizer: Tokenizer
    ) -> Iterator[Classroom]:
        """Read a corpus into a database of its own, which is dropped at the end. Nothing is embedded yet."""
        with scratch_database(admin_dsn, passwords) as postgres:
            room = cls(PostgresLibrary(postgres), PostgresSearch(postgres), tokenizer)
            arrivals = [
                Arrival(file, parsed.title, chunks)
                for file, parsed in beir.documents(folder, ALL)
                if (chunks := chunking.cut(parsed, tokenizer))
            ]
            for start in range(0, len(arrivals), BATCH):
                room.library.put("bench", arrivals[start : start + BATCH], {})
            yield room

    def embed(self, name: str, embedder: Embedder, progress: Progress) -> int:
        """Give every chunk a vector; return the generation."""
        generation = self.library.add_generation(
            name, name, embedder.dimensions, self.tokenizer.name, chunking.CHUNKING
        )
        done, total = 0, self.library.counts().chunks
        while waiting := self.library.chunks_without(generation):
            texts = [chunking.embedding_text(title, chunk) for title, chunk in waiting.values()]
            self.library.add_embeddings(generation, list(waiting), embedder.passages(texts))
            progress(done := done + len(waiting), total, f"embed with {name}")
        self.library.tend_index()
        return generation

    def find(
        self,
        question: str,
        embedder: Embedder,
        generation: int,
        limit: int,
        reranking: Reranking | None = None,
    ) -> list[Passage]:
        return find(
            question,
            SOMEONE,
            index=self.index,
            tokenizer=self.tokenizer,
            embedder=embedder,
            generation=generation,
            limit=limit,
            reranking=reranking,
        )

    def documents(self) -> dict[int, Document]:
        return {document.id: document for document in self.index.documents(SOMEONE)}

    def questions(self, folder: Path, limit: int | None, seed: int) -> list[Question]:
        """Return questions whose answer stands verbatim in a relevant document, `limit` drawn by `seed`."""
        by_uri = {document.uri: document for document in self.documents().values()}
        passages: dict[str, list[Passage]] = {}
        for passage in self.index.browse(SOMEONE):
            passages.setdefault(passage.uri, []).append(passage)
        asked: list[Question] = []
        for judged in beir.questions(folder, None, seed, shuffled=True):
            relevant = [passage for uri in judged.relevant for passage in passages.get(uri, [])]
            if question := _question(judged.text, judged.answers, relevant, by_uri):
                asked.append(question)
            if len(asked) == limit:
                break
        return asked


def _question(
    text: str, answers: Sequence[str], relevant: Sequence[Passage], documents: Mapping[str, Document]
) -> Question | None:
    """Return the question with the first answer that a relevant passage states, and its sentence."""
    for answer in filter(None, answers):
        for passage in relevant:
            for span in chunking.sentences(passage.original):
                if answer in (sentence := span.of(passage.original)):
                    document = documents[passage.uri]
                    return Question(
                        text=text,
                        gold=answer,
                        quote=sentence,
                        chunk_id=passage.chunk_id,
                        span=span.shifted(passage.span.start),
                        lineage=Lineage(document.id, document.uri, document.version, document.sha256),
                        audience=document.audience,
                    )
    return None
