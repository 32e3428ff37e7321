"""Candidate → Evaluation → Verdict."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kiban.domain.access import ALL, Audience
from kiban.domain.learning import Question
from kiban.domain.question import Answer


class Arm(StrEnum):
    BASE = "base"
    BASE_RAG = "base+RAG"
    ADAPTED = "adapted"
    ADAPTED_RAG = "adapted+RAG"
    EVERYONE_RAG = "everyone+RAG"  # what answers a zone before it has an adapter of its own
    CHAMPION_RAG = "champion+RAG"  # what answers now with all its weights, where another base model is judged
    OTHER_RAG = "other base+RAG"
    HOSTED = "hosted+RAG"  # somebody else's model on the passages the base model was shown; off by default


class Outcome(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Scored:
    """One arm's answer to one question, scored 0..1 on each measure; None where it does not apply."""

    question: Question
    arm: Arm
    answer: Answer
    correct: float | None  # answerable: the gold value is in the answer
    cited: float | None  # answerable, with passages: a verified quotation from the gold document
    abstained: float | None  # unanswerable: the answer abstains
    seconds: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One paired test of a new arm against an old one, clustered by document."""

    measure: str
    role: str  # "primary" (must be better), "guard" (not worse than `margin`) or "audit" (no leak is shown)
    old: float
    new: float
    difference: float
    low: float  # 95 % interval of the difference; 90 % for guards and audits, whose tests are one-sided
    high: float
    p_value: float
    adjusted_p: float  # after Holm's correction over the primaries, or over the audits; p_value for a guard
    questions: int
    outcome: Outcome
    margin: float = 0.0
    needed: int = 0  # questions needed to see this difference with 80 % power; 0 when decided
    wins: int = 0  # questions on which the new arm scores higher
    losses: int = 0
    against: Arm = Arm.BASE_RAG  # the old arm; of an embedder, the retrieval of that arm
    zone: Audience = ALL  # whose documents were asked about


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All the numbers of one judgement."""

    candidate_id: str
    arms: dict[Arm, dict[str, float]]  # measure -> mean
    comparisons: tuple[Comparison, ...]
    questions: int
    documents: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the candidate earned its release, and why."""

    outcome: Outcome
    reasons: tuple[str, ...]
    evaluation: Evaluation
    embedder_earned: bool = False  # the candidate's embedder alone passed its own test
    adapter_earned: bool = False
    reranker_earned: bool = False  # the candidate's reranker, on the retrieval it would be released with
    base_earned: bool = False  # another base model, on which nothing has been learnt yet
    champion: str = ""  # the release which that was judged against
    zone: Audience = ALL  # whose adapter was judged
