"""Question → Passage → Answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from kiban.domain.document import Place
from kiban.domain.sensitive import Finding
from kiban.domain.text import Span


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What a model wants the asker's own program to do. Nothing here does it."""

    id: str
    name: str
    arguments: str  # JSON


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation."""

    role: str  # "system", "user", "assistant" or "tool"
    text: str
    calls: tuple[ToolCall, ...] = ()  # that the assistant wanted
    result_of: str = ""  # the id of the call whose result a tool's text is


@dataclass(frozen=True, slots=True)
class Tools:
    """What the asker's own program can do, and what it has done since the question."""

    offered: str = ""  # JSON: OpenAI's list of functions; "" for none
    choice: str = '"auto"'  # JSON: OpenAI's tool_choice
    done: tuple[Turn, ...] = ()  # calls and their results, in order


NO_TOOLS = Tools()


@dataclass(frozen=True, slots=True)
class Scope:
    """Which of the documents one may read are asked about: those that meet every condition set here."""

    sources: tuple[str, ...] = ()
    under: str = ""  # how their uris begin, e.g. "minutes/"
    formats: tuple[str, ...] = ()  # how their uris end, in lower case without the dot, e.g. "pdf"
    documents: tuple[int, ...] = ()  # their ids
    modified_from: datetime | None = None  # with a time zone
    modified_before: datetime | None = None

    def holds(self, document_id: int, source: str, uri: str, modified: datetime | None) -> bool:
        """Tell whether a document meets every condition. One without a date meets none on dates."""
        if self.modified_from and not (modified and modified >= self.modified_from):
            return False
        if self.modified_before and not (modified and modified < self.modified_before):
            return False
        return (
            (not self.sources or source in self.sources)
            and uri.startswith(self.under)
            and (not self.formats or PurePosixPath(uri).suffix.lower().removeprefix(".") in self.formats)
            and (not self.documents or document_id in self.documents)
        )


EVERYTHING = Scope()  # that one may read


@dataclass(frozen=True, slots=True)
class Choice:
    """Something a Scope can be narrowed to, and how many documents one may read there."""

    value: str
    documents: int


@dataclass(frozen=True, slots=True)
class Choices:
    """What one person can narrow a question to, the largest first."""

    sources: tuple[Choice, ...]
    folders: tuple[Choice, ...]  # how uris begin, to the first slash
    formats: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Synonyms:
    """Groups of words that mean the same, e.g. 有休 and 年次有給休暇. Everyone knows them."""

    groups: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class LaneRank:
    """Where one lane of the search put a passage."""

    lane: str
    rank: int  # 1-based
    score: float  # the lane's own


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk shown to the model because this principal may read it."""

    chunk_id: int
    document_id: int
    uri: str
    title: str
    version: int
    place: Place
    span: Span  # of the document's text
    original: str
    normalised: str
    score: float
    url: str = ""  # where a person opens the document; "" when its source does not say
    why: tuple[LaneRank, ...] = ()  # the lanes that found it
    sensitive: tuple[Finding, ...] = ()  # in `original`; only who makes training text asks for it
    modified: datetime | None = None  # when its document was, with a time zone


@dataclass(frozen=True, slots=True)
class Found:
    """What one search returned, and the release whose embedder and index generation it used."""

    passages: tuple[Passage, ...]  # best first
    release_id: str


@dataclass(frozen=True, slots=True)
class Citation:
    """A quotation proven verbatim: `quote` is characters `span` of the cited document's text."""

    number: int  # the passage's number in the prompt, 1-based
    passage: Passage
    quote: str
    span: Span


@dataclass(frozen=True, slots=True)
class Embedded:
    """Texts as unit vectors, in the space that a release searches in."""

    vectors: tuple[tuple[float, ...], ...]
    tokens: int  # that the embedder read
    release_id: str


@dataclass(frozen=True, slots=True)
class Form:
    """The form an asker wants an answer in. It says nothing about what the answer is made of."""

    max_tokens: int | None = None  # None: as many as an answer may have
    stop: tuple[str, ...] = ()  # texts before which the model stops
    schema: str | None = None  # a JSON Schema that the text follows; None for prose with quotations


PROSE = Form()


@dataclass(frozen=True, slots=True)
class Usage:
    """What the model read and wrote, as its server counts."""

    prompt_tokens: int
    completion_tokens: int
    cut: bool  # it had more to say

    def and_before(self, other: Usage | None) -> Usage:
        """Return what this and an earlier question to the model cost."""
        if other is None:
            return self
        read, wrote = other.prompt_tokens, other.completion_tokens
        return Usage(self.prompt_tokens + read, self.completion_tokens + wrote, self.cut)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person receives."""

    text: str  # with [n] only where citation n is verified
    citations: tuple[Citation, ...]
    passages: tuple[Passage, ...]
    abstained: bool
    release_id: str
    raw: str = ""  # what the model wrote, for judging
    refused_quotes: int = 0  # quotations that were not verbatim, shown without their number
    usage: Usage | None = None  # None when no model was asked, or its server does not count
    calls: tuple[ToolCall, ...] = ()  # wanted of the asker's program before there is an answer
    failed: bool = False  # no model wrote it to its end; a notice and what was found stand instead
    proving: float = 0.0  # seconds that proving its quotations took
    refused_by: str = ""  # the rule of the company's policy that ended it; "" when none did
