"""B10D: nights on which nothing has changed, drawn, and how often they raise the alarm all the same."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from scipy import stats

from kiban.bench.attacks import Figure
from kiban.bench.attacks.exams import ALL, BY_DOCUMENT, TAUGHT, Skill
from kiban.bench.attacks.gate import MOST_FALSE
from kiban.bench.attacks.stage import Stage
from kiban.domain.document import Place
from kiban.domain.drift import Drift, Frozen, FrozenExam, Night
from kiban.domain.learning import Lineage, Question
from kiban.domain.question import Answer, Citation, Passage
from kiban.domain.text import Span
from kiban.judge import drift
from kiban.wiring.nights import ASKED, PER_DOCUMENT

EXAMS = 1_000
MONTH = 30  # nights of each
STAYS = (0.9, 0.5)  # share of what decides an answer that is the same every night
FOUND_FIRST = 0.8  # share of questions whose passage is found first
WORSE = Skill(correct=0.60, cited=0.60, abstained=0.60, over_abstained=0.03)
AT = datetime(2026, 11, 25, tzinfo=UTC)
SENTENCE = "有給休暇は12日とする。"


class Nightly:
    """A release whose answers flicker, asked the same questions every night."""

    def __init__(self, stays: float, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._stays = stays
        self._hard = self._draw()
        self._exam = self._frozen()

    def night(self, skill: Skill = TAUGHT) -> Night:
        luck = self._luck()
        questions = [each.question for each in self._exam.questions]
        answers = [_answer(asked, skill, luck[n]) for n, asked in enumerate(questions)]
        return drift.night(
            self._exam, answers, [_ranking(asked, luck[n]) for n, asked in enumerate(questions)], at=AT
        )

    def _frozen(self) -> FrozenExam:
        luck, frozen = self._luck(), list[Frozen]()
        for number in range(ASKED):
            asked = _question(number)
            given = _answer(asked, TAUGHT, luck[number])
            frozen.append(Frozen(asked, _ranking(asked, luck[number]), given, drift.scores(asked, given)))
        return FrozenExam("drawn", AT, tuple(frozen))

    def _luck(self) -> np.ndarray:
        """Return, for each question and each thing that is drawn, a number from 0 to 1."""
        tonight = np.sqrt(1 - self._stays) * self._draw()
        return np.asarray(stats.norm.cdf(np.sqrt(self._stays) * self._hard + tonight))

    def _draw(self) -> np.ndarray:
        """Draw standard normal variables, alike within a document."""
        of_document = np.repeat(self._rng.normal(size=(ASKED // PER_DOCUMENT, 5)), PER_DOCUMENT, axis=0)
        own = self._rng.normal(size=(ASKED, 5))
        return np.asarray(np.sqrt(BY_DOCUMENT) * of_document + np.sqrt(1 - BY_DOCUMENT) * own)


def quiet_nights(stage: Stage) -> Figure:
    """Ask for months in which nothing changes, and count the nights, and the months, with an alarm."""
    exams, parts, worst = stage.size(EXAMS, least=4), [], 0.0
    for stays in STAYS:
        months = [_alarms(stays, seed) for seed in range(exams)]
        nights = sum(map(sum, months))
        high = stats.binomtest(sum(map(any, months)), exams).proportion_ci(0.95, "wilson").high
        rate = nights / (exams * MONTH)
        worst = max(worst, rate)
        parts.append(
            f"{stays:.0%} the same every night: {rate:.1%} of nights, "
            f"{sum(map(any, months)) / exams:.0%} of months (at most {high:.0%})"
        )
    seen = [Drift.MODEL in Nightly(STAYS[0], seed).night(WORSE).drifts for seed in range(exams)]
    return Figure(
        "B10D",
        "nights on which nothing changed, and the alarm was raised",
        "; ".join(parts),
        f"≤ {MOST_FALSE:.0%} of nights",
        worst <= MOST_FALSE,
        exams * MONTH * len(STAYS),
        f"a third fewer right and cited: seen in the first night by {sum(seen)} of {exams}",
    )


def _alarms(stays: float, seed: int) -> list[bool]:
    nightly = Nightly(stays, seed)
    return [bool(nightly.night().drifts) for _ in range(MONTH)]


def _question(number: int) -> Question:
    gold, document = "12日" if number % 4 != 3 else "", number // PER_DOCUMENT
    lineage = Lineage(document, f"{document}.md", 1, "0" * 64)
    return Question(f"問{number}", gold, SENTENCE if gold else "", document, Span(0, len(gold)), lineage, ALL)


def _answer(asked: Question, skill: Skill, luck: np.ndarray) -> Answer:
    correct, cited, abstains, needless = (
        luck[at] < share
        for at, share in enumerate((skill.correct, skill.cited, skill.abstained, skill.over_abstained))
    )
    if abstains if not asked.answerable else needless:
        return Answer("資料に記載がありません。", (), (), True, "drawn", raw="資料に記載がありません。")
    text = "12日です。" if correct else "99日です。"
    proof = _passage(asked.lineage.document_id)
    citations = (Citation(1, proof, SENTENCE, Span(0, len(SENTENCE))),) if cited else ()
    return Answer(text, citations, (proof,), False, "drawn", raw=text)


def _ranking(asked: Question, luck: np.ndarray) -> tuple[Passage, ...]:
    right, other = _passage(asked.lineage.document_id), _passage(10_000, "別の話。")
    return (right, other) if luck[4] < FOUND_FIRST else (other, right)


def _passage(document: int, text: str = SENTENCE) -> Passage:
    whole = Span(0, len(text))
    return Passage(document, document, f"{document}.md", "規程", 1, Place(), whole, text, text, 1.0)
