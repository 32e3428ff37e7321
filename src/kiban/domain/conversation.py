"""Answer → Conversation: what somebody asked and was answered, kept for that person alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kiban.domain.question import Answer

LONGEST_TITLE = 80  # characters


@dataclass(frozen=True, slots=True)
class Conversation:
    """Questions that belong together."""

    id: str  # random
    title: str  # the beginning of its first question
    begun: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class ExchangeKey:
    """What finds a question, without a word of it."""

    subject: str  # whose conversation it is in
    conversation: str
    number: int  # from 0


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and its answer, as it may be read now."""

    question: str
    at: datetime
    answer: Answer | None  # None: it says what its reader may not read any more, or what is gone
