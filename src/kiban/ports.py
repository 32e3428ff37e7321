"""What the rooms need from outside, one Protocol where two implementations exist (the real one in
`backends`, the in-memory one in `kiban.testing`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from kiban.domain.access import Principal
from kiban.domain.document import Chunk, Document, ParsedDocument, SourceFile
from kiban.domain.learning import Curriculum, Weights
from kiban.domain.question import Passage
from kiban.domain.release import Action, LedgerEntry, Release

Vector = Sequence[float]  # unit length
Progress = Callable[[int, int, str], None]  # done, total, what


class Source(Protocol):
    """A place documents come from."""

    name: str

    def files(self) -> Iterator[SourceFile]: ...

    def memberships(self) -> Mapping[str, frozenset[str]]:
        """Return the groups of every person the source knows."""
        ...


class Parser(Protocol):
    """Reads one file. Raises a DocumentError for what it cannot read."""

    def parse(self, path: Path, uri: str) -> ParsedDocument: ...


class Tokenizer(Protocol):
    """Cuts text into normalised lexical terms."""

    name: str

    def terms(self, text: str) -> list[str]: ...


class Embedder(Protocol):
    """Turns texts into unit vectors of `dimensions` numbers."""

    dimensions: int

    def passages(self, texts: Sequence[str]) -> list[Vector]: ...

    def query(self, text: str) -> Vector: ...


class Library(Protocol):
    """Where documents are kept, for the one who writes them."""

    def documents(self, source: str | None = None) -> list[Document]: ...

    def put(self, source: str, arrivals: Sequence[Arrival], generations: Mapping[int, Sequence[Sequence[Vector]]]) -> None:
        """Store documents whole, in one transaction: rows, chunks, postings, a vector per chunk and generation."""
        ...

    def fail(self, source: str, file: SourceFile, reason: str) -> None: ...

    def move_audience(self, source: str, file: SourceFile) -> None: ...

    def delete(self, source: str, uris: Iterable[str]) -> int: ...

    def set_memberships(self, memberships: Mapping[str, frozenset[str]]) -> None: ...


class Arrival(Protocol):
    """A file that has been read and cut."""

    @property
    def file(self) -> SourceFile: ...

    @property
    def title(self) -> str: ...

    @property
    def chunks(self) -> Sequence[Chunk]: ...
