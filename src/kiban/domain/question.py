"""Question → Passage → Answer."""

from __future__ import annotations

from dataclasses import dataclass

from kiban.domain.document import Place
from kiban.domain.text import Span


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation."""

    role: str  # "system", "user" or "assistant"
    text: str


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
class Answer:
    """What a person receives."""

    text: str  # with [n] only where citation n is verified
    citations: tuple[Citation, ...]
    passages: tuple[Passage, ...]
    abstained: bool
    release_id: str
    raw: str = ""  # what the model wrote, for judging
    refused_quotes: int = 0  # quotations that were not verbatim, shown without their number
