"""Release → the same questions, night after night: what changed although nothing was released."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from kiban.domain.learning import Question
from kiban.domain.question import Answer, Passage


class Drift(StrEnum):
    """What may change behind a release that stays the same."""

    MODEL = "model"  # the same passages, other answers
    RETRIEVAL = "retrieval"  # the same questions, other passages
    JUDGE = "judge"  # the same answers, other scores


@dataclass(frozen=True, slots=True)
class Frozen:
    """One question, with what was shown for it, answered and scored when the release was first examined."""

    question: Question
    passages: tuple[Passage, ...]
    answer: Answer
    scores: dict[str, float]  # by measure, those that apply


@dataclass(frozen=True, slots=True)
class FrozenExam:
    """What a release is compared with for as long as it answers."""

    release_id: str
    at: datetime
    questions: tuple[Frozen, ...]


@dataclass(frozen=True, slots=True)
class Shift:
    """One measure of one kind of drift, then and tonight."""

    drift: Drift
    measure: str
    old: float
    new: float
    questions: int
    changed: int  # questions on which the measure differs
    p_value: float
    adjusted_p: float  # after Holm's correction over what was tested that night
    alarm: bool


@dataclass(frozen=True, slots=True)
class Night:
    """What one night found."""

    at: datetime
    release_id: str
    shifts: tuple[Shift, ...]
    worn: int = 0  # questions put aside, because their documents are gone or have new versions

    @property
    def drifts(self) -> tuple[Drift, ...]:
        """Return what has drifted, each once."""
        return tuple(drift for drift in Drift if any(s.alarm for s in self.shifts if s.drift is drift))
