"""Drawn exams: what two arms would score on the same questions, alike within a document."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from kiban.domain.access import EVERYONE, Audience
from kiban.domain.evidence import Arm, Scored
from kiban.domain.learning import Lineage, Question
from kiban.domain.question import Answer
from kiban.domain.text import Span

ALL = Audience(frozenset({EVERYONE}))
BY_DOCUMENT = 0.3  # share of what varies that questions of one document have in common
BY_QUESTION = 0.5  # share that both arms have in common: easy and hard questions


@dataclass(frozen=True, slots=True)
class Skill:
    """What share of its questions an arm gets right, and how long it takes."""

    correct: float
    cited: float
    abstained: float
    over_abstained: float
    seconds: float = 1.0


UNTAUGHT = Skill(correct=0.85, cited=0.48, abstained=0.15, over_abstained=0.03)
TAUGHT = Skill(correct=0.88, cited=0.90, abstained=0.60, over_abstained=0.03)


def draw(old: Skill, new: Skill, *, documents: int, each: int, seed: int) -> list[Scored]:
    """Return the answers of base+RAG with skill `old` and of adapted+RAG with skill `new`.

    Each document is asked about `each` times, every fourth time with the document withheld. Scores are
    thresholds of normal variables (a Gaussian copula), with what both arms find hard in common, and in each
    arm apart what is hard about a document: with equal skills about one question in four is answered rightly
    by one arm alone.
    """
    rng = np.random.default_rng(seed)
    scored: list[Scored] = []
    hard = rng.normal(size=(documents, 4))
    leaning = rng.normal(size=(documents, 2, 4))
    for document in range(documents):
        for number in range(each):
            shared = np.sqrt(BY_DOCUMENT) * hard[document] + np.sqrt(1 - BY_DOCUMENT) * rng.normal(size=4)
            for side, (arm, skill) in enumerate(((Arm.BASE_RAG, old), (Arm.ADAPTED_RAG, new))):
                own = np.sqrt(BY_DOCUMENT) * leaning[document, side]
                own = own + np.sqrt(1 - BY_DOCUMENT) * rng.normal(size=4)
                luck = stats.norm.cdf(np.sqrt(BY_QUESTION) * shared + np.sqrt(1 - BY_QUESTION) * own)
                asked = _question(document, number, answerable=number % 4 != 3)
                scored.append(_scored(asked, arm, skill, luck, rng.uniform(0.8, 1.2)))
    return scored


def _question(document: int, number: int, *, answerable: bool) -> Question:
    gold, lineage = "12日" if answerable else "", Lineage(document, f"{document}.md", 1, "0" * 64)
    return Question(f"問{document}-{number}", gold, gold, document, Span(0, len(gold)), lineage, ALL)


def _scored(asked: Question, arm: Arm, skill: Skill, luck: np.ndarray, pace: float) -> Scored:
    took = skill.seconds * pace
    if not asked.answerable:
        abstained = bool(luck[2] < skill.abstained)
        return Scored(asked, arm, _answer(abstained), None, None, float(abstained), took)
    if luck[3] < skill.over_abstained:
        return Scored(asked, arm, _answer(True), 0.0, 0.0, None, took)
    right = [float(each < share) for each, share in zip(luck, (skill.correct, skill.cited), strict=False)]
    return Scored(asked, arm, _answer(False), right[0], right[1], None, took)


def _answer(abstained: bool) -> Answer:
    text = "資料に記載なし" if abstained else "12日です。"
    return Answer(text, (), (), abstained, "drawn", raw=text)


def slower(skill: Skill, times: float) -> Skill:
    return replace(skill, seconds=skill.seconds * times)
