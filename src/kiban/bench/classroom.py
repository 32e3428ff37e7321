"""A folder in BEIR layout with answers, as an index, and as questions to learn from or to judge by."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.scratch import scratch_database
from kiban.backends.postgres.search import PostgresSearch
from kiban.bench import beir
from kiban.domain.access import EVERYONE, Audience, Principal
from kiban.domain.document import Arrival, Document
from kiban.domain.learning import Lineage, Question, QuestionKind
from kiban.domain.question import Passage
from kiban.domain.text import Span
from kiban.ingest import chunking
from kiban.ports import Embedder, Progress, Tokenizer
from kiban.retrieve.rerank import Reranking
from kiban.retrieve.search import LANES, find

ALL = Audience(frozenset({EVERYONE}))
SOMEONE = Principal("bench", frozenset())
BATCH = 64  # documents
DEEP = 50  # passages among which the one of a page that fits a question best is looked for


@dataclass(frozen=True, slots=True)
class Classroom:
    """A corpus that has been read, and can be searched with any embedder it has vectors of."""

    library: PostgresLibrary
    index: PostgresSearch
    tokenizer: Tokenizer

    @classmethod
    @contextmanager
    def of(
        cls,
        folder: Path,
        admin_dsn: str,
        passwords: Mapping[str, str],
        tokenizer: Tokenizer,
        documents: int | None = None,
        seed: int = 0,
    ) -> Iterator[Classroom]:
        """Read a corpus, or so many of its documents drawn by `seed`, into a database of its own, which is
        dropped at the end. Nothing is embedded yet."""
        corpus = list(beir.documents(folder, ALL))
        if documents is not None and documents < len(corpus):
            corpus = random.Random(seed).sample(corpus, documents)
        with scratch_database(admin_dsn, passwords) as postgres:
            room = cls(PostgresLibrary(postgres), PostgresSearch(postgres), tokenizer)
            arrivals = [
                Arrival(file, parsed.title, chunks)
                for file, parsed in corpus
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
        lanes: Sequence[str] = LANES,
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
            lanes=lanes,
        )

    def documents(self) -> dict[int, Document]:
        return {document.id: document for document in self.index.documents(SOMEONE)}

    def questions(
        self,
        folder: Path,
        limit: int | None,
        seed: int,
        among: Collection[str] | None = None,
        *,
        answered: bool = False,
    ) -> list[Question]:
        """Return questions that a document answers, `limit` drawn by `seed`; `among`: by documents of these
        uris, and by no others; `answered`: only those of which an answer stands verbatim in a document.

        Of the others the page is all that is known: they are keywords, and teach and judge finding alone.
        """
        by_uri = {document.uri: document for document in self.documents().values()}
        passages: dict[str, list[Passage]] = {}
        for passage in self.index.browse(SOMEONE):
            passages.setdefault(passage.uri, []).append(passage)
        asked: list[Question] = []
        for judged in beir.questions(folder, None, seed, shuffled=True):
            if among is not None and not judged.relevant.keys() <= set(among):
                continue
            relevant = [passage for uri in judged.relevant for passage in passages.get(uri, [])]
            question = _question(judged.text, judged.answers, relevant, by_uri)
            if question is None and relevant and not answered:
                question = _page_question(judged.text, relevant[0], by_uri[relevant[0].uri])
            if question:
                asked.append(question)
            if len(asked) == limit:
                break
        return asked

    def halves(self, seed: int) -> tuple[frozenset[str], frozenset[str]]:
        """Return the uris of two halves of the documents: by hash, so that others change nothing."""
        sides: tuple[set[str], set[str]] = (set(), set())
        for document in self.documents().values():
            sides[hashlib.sha256(f"{seed} {document.uri}".encode()).digest()[0] % 2].add(document.uri)
        return frozenset(sides[0]), frozenset(sides[1])

    def pointed(self, question: Question, embedder: Embedder, generation: int) -> Question | None:
        """Return a question with a passage to learn: where only its page is known, the one of that page that
        is found first; None if none is among the best."""
        if question.quote:
            return question
        for passage in self.find(question.text, embedder, generation, DEEP):
            if passage.document_id == question.lineage.document_id:
                return replace(question, chunk_id=passage.chunk_id, span=passage.span)
        return None


def _page_question(text: str, page: Passage, document: Document) -> Question:
    return Question(
        text=text,
        gold=text,
        quote="",
        chunk_id=page.chunk_id,
        span=Span(page.span.start, page.span.start),
        lineage=_lineage(document),
        audience=document.audience,
        kind=QuestionKind.KEYWORD,
    )


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
                        lineage=_lineage(document),
                        audience=document.audience,
                    )
    return None


def _lineage(document: Document) -> Lineage:
    return Lineage(document.id, document.uri, document.version, document.sha256)
