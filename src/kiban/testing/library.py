"""A library and its index in memory."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from math import log
from pathlib import Path

import numpy as np

from kiban.domain.access import NOBODY, Audience, Principal
from kiban.domain.document import (
    SECTION_BREAK,
    Arrival,
    Chunk,
    Document,
    DocumentState,
    EmbeddedPicture,
    Listed,
    Place,
    SourceFile,
    Tombstone,
)
from kiban.domain.generation import FIRST_CUT
from kiban.domain.question import EVERYTHING, Passage, Scope
from kiban.domain.sensitive import Finding
from kiban.domain.text import Span
from kiban.ports import Tokenizer, Vector
from kiban.testing.text import WordTokenizer


def arrival(
    uri: str, *texts: str, readers: Iterable[str] = ("everyone",), tokenizer: Tokenizer | None = None
) -> Arrival:
    """Return a document of one chunk per text, ready to be stored."""
    tokenizer = tokenizer or WordTokenizer()
    file = SourceFile(
        uri,
        Path(uri),
        sum(map(len, texts)),
        hashlib.sha256("\n".join(texts).encode(errors="surrogatepass")).hexdigest(),
        Audience(frozenset(readers)),
    )
    chunks, start = [], 0
    for ordinal, text in enumerate(texts):
        span = Span(start, start + len(text))
        chunks.append(Chunk(ordinal, span, Place(), text, text, tuple(tokenizer.terms(text))))
        start = span.end + len(SECTION_BREAK)
    return Arrival(file, uri, tuple(chunks))


class MemoryLibrary:
    """A Library in dicts. Like the real one it keeps the version of a file that failed, and its title.

    What comes in another cut than the first is only noted: nothing searches it.
    """

    def __init__(self) -> None:
        self.arrivals: dict[tuple[str, str], Arrival] = {}  # (source, uri); none for what failed
        self.besides: dict[tuple[str, str, int], Arrival] = {}  # (source, uri, cut)
        self.cuts: dict[int, int] = {}  # by generation, where it is not the first
        self.vectors: dict[tuple[str, str], dict[int, list[Vector]]] = {}
        self.people: dict[str, dict[str, frozenset[str]]] = {}  # by source
        self.leases: dict[tuple[str, str], str] = {}  # (source, uri) to lease
        self.buried: list[Tombstone] = []
        self.puts: list[tuple[str, ...]] = []  # uris of each transaction
        self.shelved: dict[tuple[str, str], Document] = {}
        self._ids = count(1)

    def documents(self, source: str | None = None) -> list[Document]:
        return [document for _, document in sorted(self.shelved.items()) if source in (None, document.source)]

    def put(
        self,
        source: str,
        arrivals: Sequence[Arrival],
        vectors: Mapping[int, Sequence[Vector]],
        lease: str = "",
    ) -> frozenset[str]:
        for arrival in arrivals:
            if arrival.cut != FIRST_CUT:
                self.besides[source, arrival.file.uri, arrival.cut] = arrival
        for generation, of_chunks in vectors.items():
            cut = self.cuts.get(generation, FIRST_CUT)
            assert len(of_chunks) == sum(len(each.chunks) for each in arrivals if each.cut == cut)
        vectors = {number: of for number, of in vectors.items() if number not in self.cuts}
        arrivals = [arrival for arrival in arrivals if arrival.cut == FIRST_CUT]
        stored, start = [], 0
        for arrival in arrivals:
            key, end = (source, arrival.file.uri), start + len(arrival.chunks)
            if not lease or self.leases.get(key) == lease:
                stored.append(arrival.file.uri)
                audience = self.shelved[key].audience if lease else arrival.file.audience
                file = replace(arrival.file, audience=audience)
                self._record(source, file, DocumentState.READY, title=arrival.title)
                self.arrivals[key] = arrival
                self.vectors[key] = {generation: list(of[start:end]) for generation, of in vectors.items()}
                self.leases.pop(key, None)
            start = end
        self.puts.append(tuple(stored))
        return frozenset(stored)

    def fail(self, source: str, file: SourceFile, reason: str) -> None:
        self._record(source, file, DocumentState.FAILED, reason=reason)
        self.arrivals.pop((source, file.uri), None)
        self.vectors.pop((source, file.uri), None)

    def move_audience(self, source: str, listed: Listed | SourceFile) -> None:
        key = (source, listed.uri)
        self.shelved[key] = replace(self.shelved[key], audience=listed.audience)

    def delete(self, source: str, uris: Iterable[str], why: str = "gone from its source") -> int:
        keys = [(source, uri) for uri in uris if (source, uri) in self.shelved]
        for key in keys:
            document = self.shelved.pop(key)
            self.buried.append(Tombstone(source, document.uri, document.version, datetime.now(UTC), why))
            self.leases.pop(key, None)
            self.arrivals.pop(key, None)
            self.vectors.pop(key, None)
        return len(keys)

    def set_memberships(self, source: str, memberships: Mapping[str, frozenset[str]]) -> None:
        self.people[source] = dict(memberships)

    def clear(self, source: str, uri: str) -> None:
        """Forget what a document says."""
        self.arrivals.pop((source, uri), None)
        self.vectors.pop((source, uri), None)

    def next_id(self) -> int:
        return next(self._ids)

    def _record(
        self, source: str, file: SourceFile, state: DocumentState, *, title: str = "", reason: str = ""
    ) -> None:
        known = self.shelved.get((source, file.uri))
        failed = state is DocumentState.FAILED
        self.shelved[source, file.uri] = Document(
            id=known.id if known else next(self._ids),
            source=source,
            uri=file.uri,
            title=title or (known.title if known else ""),
            version=known.version + (known.sha256 != file.sha256) if known else 1,
            sha256=file.sha256,
            audience=file.audience,
            state=state,
            since=datetime.now(UTC),
            reason=reason,
            attempts=(known.attempts if known and known.sha256 == file.sha256 else 0) + 1 if failed else 0,
            tag=file.tag,
            url=file.url,
            modified=file.modified,
            identity=file.identity,
        )


class MemorySearch:
    """A SearchIndex over a MemoryLibrary. It has no graph: `exact` changes nothing."""

    def __init__(self, library: MemoryLibrary) -> None:
        self._library = library

    def visible_chunks(self, who: Principal, scope: Scope = EVERYTHING) -> int:
        return sum(self._in_scope(passage, scope) for passage in self.browse(who))

    def documents(self, who: Principal) -> list[Document]:
        return [document for document in self._library.documents() if who.may_read(document.audience)]

    def audience(self, who: Principal, document_id: int) -> Audience:
        return next((one.audience for one in self.documents(who) if one.id == document_id), NOBODY)

    def browse(self, who: Principal) -> list[Passage]:
        return [passage for passage, _, _ in self._visible(who)]

    def sensitive(self, who: Principal, chunk_ids: Sequence[int]) -> dict[int, tuple[Finding, ...]]:
        found = {passage.chunk_id: chunk.sensitive for passage, chunk, _ in self._visible(who)}
        return {chunk_id: found.get(chunk_id, ()) for chunk_id in chunk_ids}

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
        scored = [
            replace(passage, score=float(np.dot(vectors[generation], vector)))
            for passage, _, vectors in self._visible(who)
            if generation in vectors and self._in_scope(passage, scope)
        ]
        return _best(scored, limit)

    def matching(
        self, who: Principal, terms: Sequence[str], limit: int, *, scope: Scope = EVERYTHING
    ) -> list[Passage]:
        counted = [
            (passage, Counter(chunk.terms), len(chunk.terms)) for passage, chunk, _ in self._visible(who)
        ]
        mean = sum(length for _, _, length in counted) / len(counted) if counted else 0.0
        weights = {}
        for term in sorted(set(terms)):
            having = sum(term in counts for _, counts, _ in counted)
            weights[term] = log(1 + (len(counted) - having + 0.5) / (having + 0.5))
        scored = [
            replace(
                passage,
                score=sum(
                    weight * counts[term] * 2.2 / (counts[term] + 1.2 * (0.25 + 0.75 * length / mean))
                    for term, weight in weights.items()
                ),
            )
            for passage, counts, length in counted
            if weights.keys() & counts and self._in_scope(passage, scope)
        ]
        return _best(scored, limit)

    def pictured(
        self, who: Principal, vector: Vector, embedder_sha256: str, limit: int, *, scope: Scope = EVERYTHING
    ) -> list[Passage]:
        scored = []
        for passage, _, _ in self._visible(who):
            beside = [each for each in self._pictures(passage) if each.embedder_sha256 == embedder_sha256]
            if beside and self._in_scope(passage, scope):
                score = max(float(np.dot(each.vector, vector)) for each in beside)
                scored.append(replace(passage, score=score))
        return _best(scored, limit)

    def _pictures(self, passage: Passage) -> list[EmbeddedPicture]:
        (document,) = (one for one in self._library.documents() if one.id == passage.document_id)
        ordinal = passage.chunk_id - 1000 * passage.document_id
        pictures = self._library.arrivals[document.source, document.uri].pictures
        return [each for each in pictures if each.chunk == ordinal]

    def _in_scope(self, passage: Passage, scope: Scope) -> bool:
        (document,) = (one for one in self._library.documents() if one.id == passage.document_id)
        modified = self._library.arrivals[document.source, document.uri].file.modified
        return scope.holds(document.id, document.source, document.uri, modified)

    def _visible(self, who: Principal) -> Iterator[tuple[Passage, Chunk, dict[int, Vector]]]:
        """Yield what `who` may read by document and ordinal, with each chunk's vectors by generation."""
        for document in self.documents(who):
            key = (document.source, document.uri)
            arrival = self._library.arrivals.get(key)
            for number, chunk in enumerate(arrival.chunks if arrival else ()):
                passage = Passage(
                    chunk_id=document.id * 1000 + chunk.ordinal,
                    document_id=document.id,
                    uri=document.uri,
                    title=document.title,
                    version=document.version,
                    place=chunk.place,
                    span=chunk.span,
                    original=chunk.original,
                    normalised=chunk.normalised,
                    score=0.0,
                    url=document.url,
                    modified=document.modified,
                )
                vectors = self._library.vectors[key].items()
                yield passage, chunk, {generation: of[number] for generation, of in vectors}


def _best(passages: Sequence[Passage], limit: int) -> list[Passage]:
    return sorted(passages, key=lambda passage: (-passage.score, passage.chunk_id))[:limit]
