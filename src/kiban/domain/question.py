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
