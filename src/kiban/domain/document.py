"""Source → Document → Chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from kiban.domain.access import Audience
from kiban.domain.generation import FIRST_CUT
from kiban.domain.sensitive import Finding
from kiban.domain.text import Span


class DocumentState(StrEnum):
    WAITING = "waiting"  # to be read; what an older version says still answers
    READING = "reading"  # lent to a worker, until a time
    READY = "ready"
    FAILED = "failed"  # will be tried again, at a known time
    DEAD = "dead"  # will not, until it changes or somebody asks


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of what a source holds. Its content is fetched only when `tag` is new."""

    uri: str  # stable within its source, e.g. a path relative to the folder
    tag: str  # another one when the content may have changed: a hash, an etag, a revision
    size: int  # bytes; 0 when the source does not say
    audience: Audience
    url: str = ""  # where a person opens it
    modified: datetime | None = None  # with a time zone
    identity: str = ""  # what stays when it is renamed or moved: an item's id; "" when nothing does

    def fetched(self, path: Path, size: int, sha256: str) -> SourceFile:
        """Return it as the file its bytes are in now."""
        return SourceFile(
            self.uri, path, size, sha256, self.audience, self.tag, self.url, self.modified, self.identity
        )


@dataclass(frozen=True, slots=True)
class Listing:
    """What a source says has happened since a cursor.

    A whole listing names everything the source holds: what it does not name is gone. Another names what
    is new or changed, in content or readers, and what is gone.
    """

    entries: Iterable[Listed]  # may be read once, and may raise while it is read
    whole: bool = True
    gone: tuple[str, ...] = ()  # uris
    cursor: Callable[[], str] = str  # after the last entry: what to say next time; "" for a whole listing


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A listed thing whose bytes have been fetched."""

    uri: str
    path: Path  # where its bytes can be read now
    size: int  # bytes
    sha256: str
    audience: Audience
    tag: str = ""
    url: str = ""
    modified: datetime | None = None
    identity: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a document a reader would look. At most one of page, sheet and slide is set."""

    page: int | None = None  # 1-based
    sheet: str | None = None
    slide: int | None = None  # 1-based
    heading: str = ""  # path of headings, " > " between
    anchor: str = ""  # what to put after "#" in an address, or a range of cells


@dataclass(frozen=True, slots=True)
class Section:
    """A run of text under one place, as a parser gives it."""

    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure, drawing or photograph in a document, made small. Pixels, not a file: nobody has to decode
    what came out of somebody's document."""

    at: int  # where it stands: a character of ParsedDocument.text
    width: int  # pixels
    height: int
    rgb: bytes  # three a pixel, row by row from the top
    caption: str = ""  # what is said of it: its alternative text, or the line under or above it


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """What a parser made of a file: a title and sections in reading order."""

    title: str
    sections: tuple[Section, ...]
    unread: tuple[Place, ...] = ()  # pictures that may hold text, and that nobody has read
    pictures: tuple[Picture, ...] = ()  # in reading order; none unless asked for

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
    sensitive: tuple[Finding, ...] = ()  # in `original`
    lead: str | None = None  # the white space before it in its section; None where it begins one


@dataclass(frozen=True, slots=True)
class EmbeddedPicture:
    """A picture with the vector under which it is found, and the chunk it stands beside."""

    picture: Picture
    chunk: int  # its ordinal
    embedder_sha256: str = ""  # of the model that made the vector
    vector: tuple[float, ...] = ()  # unit length; none until it is embedded


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file that has been read and cut, ready to be stored. While two cuts live there is one for each."""

    file: SourceFile
    title: str
    chunks: tuple[Chunk, ...]
    pictures: tuple[EmbeddedPicture, ...] = ()
    cut: int = FIRST_CUT


@dataclass(frozen=True, slots=True)
class CutDocument:
    """What a stored document says, as one cut holds it."""

    source: str
    document_id: int
    title: str
    ids: tuple[int, ...]  # of the chunks, which are never given twice
    chunks: tuple[Chunk, ...]  # in order, without their terms


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
    tag: str = ""
    url: str = ""
    modified: datetime | None = None
    identity: str = ""
    due: datetime | None = None  # when a worker may take it: again after a failure, back after a lease


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What stays of a deleted document."""

    source: str
    uri: str
    version: int
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Leased:
    """A document lent to a worker: to be read as it was listed."""

    listed: Listed
    version: int  # 0 when no content was ever seen
    sha256: str  # of what answers now; "" when nothing does


@dataclass(frozen=True, slots=True)
class Lease:
    """Documents lent to one worker. What it stores after the lease has passed on is not taken."""

    id: str
    source: str
    leased: tuple[Leased, ...]


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How one source stands."""

    source: str
    states: Mapping[str, int]  # documents by state
    oldest: Mapping[str, datetime]  # since when the oldest is in its state
    surveyed: datetime | None  # when it was last listed to the end
    refused: str  # why deletions are held back; "" when none are


@dataclass(frozen=True, slots=True)
class SourceOutlook:
    """What an operator wants to know of one source of the settings."""

    name: str
    kind: str
    states: Mapping[str, int]  # documents by state
    listed: datetime | None  # when it was last listed to the end
    cursor: bool  # will the next listing say only what has changed?
    last_error: str  # "" since it was last listed to the end


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What one run did."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    moved_audience: int = 0
    deleted: int = 0
    renamed: int = 0
    held_back: int = 0  # deletions that a person has to allow
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
            self.renamed + other.renamed,
            self.held_back + other.held_back,
            self.failed + other.failed,
            self.chunks + other.chunks,
            self.seconds + other.seconds,
        )

    @classmethod
    def total(cls, reports: Iterable[IngestReport]) -> IngestReport:
        return sum(reports, cls())
