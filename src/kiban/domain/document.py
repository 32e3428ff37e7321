"""Source → Document → Chunk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from kiban.domain.access import Audience
from kiban.domain.text import Span


class DocumentState(StrEnum):
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One thing a source lists: where it is, what it holds (by hash), and who may read it."""

    uri: str  # stable within its source, e.g. a path relative to the folder
    path: Path  # where its bytes can be read now
    size: int  # bytes
    sha256: str
    audience: Audience


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a document a reader would look. At most one of page, sheet and slide is set."""

    page: int | None = None  # 1-based
    sheet: str | None = None
    slide: int | None = None  # 1-based
    heading: str = ""  # path of headings, " > " between


@dataclass(frozen=True, slots=True)
class Section:
    """A run of text under one place, as a parser gives it."""

    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """What a parser made of a file: a title and sections in reading order."""

    title: str
    sections: tuple[Section, ...]

    @property
    def text(self) -> str:
        return SECTION_BREAK.join(section.text for section in self.sections)


SECTION_BREAK = "\n\n"


@dataclass(frozen=True, slots=True)
class Chunk:
    """The unit we retrieve. Its audience is its document's: there is no second copy to go stale."""

    ordinal: int
    span: Span  # of ParsedDocument.text
    place: Place
    original: str
    normalised: str  # NFKC of original
    terms: tuple[str, ...] = ()  # lexical terms in order, repeats kept


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file that has been read and cut, ready to be stored."""

    file: SourceFile
    title: str
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A stored document, in exactly one state since a known time."""

    id: int
    source: str
    uri: str
    title: str
    version: int  # 1 for the first content seen, +1 per change
    sha256: str
    audience: Audience
    state: DocumentState
    since: datetime
    reason: str = ""
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What one run did."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    moved_audience: int = 0
    deleted: int = 0
    failed: tuple[tuple[str, str], ...] = field(default=())  # (uri, reason)
    chunks: int = 0
    seconds: float = 0.0

    def __add__(self, other: IngestReport) -> IngestReport:
        return IngestReport(
            self.added + other.added,
            self.changed + other.changed,
            self.unchanged + other.unchanged,
            self.moved_audience + other.moved_audience,
            self.deleted + other.deleted,
            self.failed + other.failed,
            self.chunks + other.chunks,
            self.seconds + other.seconds,
        )

    @classmethod
    def total(cls, reports: Iterable[IngestReport]) -> IngestReport:
        return sum(reports, cls())
