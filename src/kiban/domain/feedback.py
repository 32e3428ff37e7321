"""Answer → Feedback: what people say of an answer, and who vouches for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from kiban.domain.text import Span

APPROVERS = 2  # distinct people, the author not among them


class Rating(StrEnum):
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The place in a document that answers, shown to be verbatim when it was given."""

    document_id: int
    version: int
    span: Span  # of the document's text
    quote: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What one curator says of a piece of feedback."""

    curator: str
    at: datetime
    approves: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Feedback:
    """What somebody said of an answer. A thumb alone is counted and teaches nothing."""

    id: int
    at: datetime
    author: str
    rating: Rating
    question: str
    answer: str  # as it was shown
    release_id: str
    correction: str = ""  # the short answer it should have given
    comment: str = ""
    evidence: Evidence | None = None
    decisions: tuple[Decision, ...] = ()

    @property
    def teaches(self) -> bool:
        """Whether something can be learnt from it: it names the place that answers."""
        return self.evidence is not None

    @property
    def refused(self) -> bool:
        return any(not decision.approves for decision in self.decisions)

    @property
    def approved(self) -> bool:
        """Whether enough people other than its author vouch for it, and nobody objects."""
        vouching = {one.curator for one in self.decisions if one.approves} - {self.author}
        return len(vouching) >= APPROVERS and not self.refused
