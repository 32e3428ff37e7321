"""The verdict on one page that a manager understands in a minute: self-contained HTML, no foreign request."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from statistics import fmean

import numpy as np
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from kiban.domain.evidence import Arm, Comparison, Scored, Verdict
from kiban.domain.learning import Candidate, Curriculum, Question
from kiban.judge import phrases, statistics
from kiban.judge.arms import ASKED_AT_ONCE
from kiban.judge.economy import Prices, costs
from kiban.judge.measures import RAG_ARMS
from kiban.judge.recommendation import recommend
from kiban.judge.sample_size import MOST_NEEDED
from kiban.judge.verdict import MEASURES, RERANKED

ARM_NAMES = {
    Arm.BASE: "元のモデル",
    Arm.BASE_RAG: "元のモデル＋検索",
    Arm.ADAPTED: "学習後",
    Arm.ADAPTED_RAG: "学習後＋検索",
    Arm.EVERYONE_RAG: "全員用の学習後＋検索",
    Arm.CHAMPION_RAG: "今の公開版＋検索",
    Arm.OTHER_RAG: "別の元モデル＋検索",
    Arm.HOSTED: "外部のモデル＋検索",
}
SHOWN_EXAMPLES = 3  # of each kind
PLOTTED = ("correct", "cited", "abstained")
NOT_SHARES = (
    "seconds",
    "faster",
    "ndcg_at_10",
    RERANKED,
    "reciprocal_rank",
)  # McNemar compares shares of questions


@dataclass(frozen=True, slots=True)
class Estimate:
    """One arm's mean on one measure with its 95 % interval over documents."""

    arm: Arm
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Sides:
    """What is compared: the arm that has to be beaten, and the new one."""

    old: Arm
    new: Arm
    english: str


LEARNT = Sides(
    Arm.BASE_RAG, Arm.ADAPTED_RAG, "the base model with search → the model that learnt, with search"
)
MOVED = Sides(
    Arm.CHAMPION_RAG,
    Arm.OTHER_RAG,
    "what answers now, with all its adapters → another base model, which has learnt nothing here",
)


@dataclass(frozen=True, slots=True)
class Example:
    """One question, answered by both sides."""

    question: Question
    old: Scored
    new: Scored


def render(
    candidate: Candidate,
    verdict: Verdict,
    scored: Sequence[Scored],
    curriculum: Curriculum,
    environment: Mapping[str, str] | None = None,
    prices: Prices | None = None,
) -> str:
    """Return the page. `environment` is what a reader needs to repeat it: models, versions, settings."""
    sides = MOVED if candidate.llm else LEARNT
    wins, losses = examples(scored, sides)
    prices = prices or Prices()
    return _template().render(
        css=_css(),
        candidate=candidate,
        verdict=verdict,
        advice=recommend(verdict),
        costs=[each for each in costs(scored, verdict.evaluation.seconds, prices) if each.arm in RAG_ARMS],
        prices=prices,
        at_once=ASKED_AT_ONCE,
        estimates=(table := estimates(scored)),
        plotted={measure: table[measure] for measure in PLOTTED if measure in table},
        arms=ARM_NAMES,
        sides=sides,
        present={each.arm for each in scored},
        comparisons=[each for each in verdict.evaluation.comparisons if each.role != "audit"],
        audits=[each for each in verdict.evaluation.comparisons if each.role == "audit"],
        wins=wins,
        losses=losses,
        curriculum=curriculum,
        unanswerable=sum(not example.question.answerable for example in curriculum.examples),
        held_out=sorted({each.question.lineage.uri for each in scored}),
        environment={**_here(), **(environment or {})},
        phrases=phrases,
        mcnemar=lambda c: statistics.mcnemar_p(c.wins, c.losses),
        not_shares=NOT_SHARES,
        needed=_needed,
    )


def estimates(scored: Sequence[Scored]) -> dict[str, list[Estimate]]:
    """Return every measure's means and intervals in the order of the arms, where the measure applies."""
    table: dict[str, list[Estimate]] = {}
    for measure in MEASURES:
        rows = [row for arm in Arm if (row := _estimate(scored, arm, measure))]
        if rows:
            table[measure] = rows
    return table


def examples(scored: Sequence[Scored], sides: Sides = LEARNT) -> tuple[list[Example], list[Example]]:
    """Return the clearest wins and the clearest losses of the new side over the old."""
    answers = {(each.question, each.arm): each for each in scored}
    both = [
        Example(question, old, answers[question, sides.new])
        for (question, arm), old in answers.items()
        if arm is sides.old and (question, sides.new) in answers
    ]
    ranked = sorted(both, key=lambda example: _merit(example.old) - _merit(example.new))
    wins = [example for example in ranked if _merit(example.new) > _merit(example.old)]
    losses = [example for example in reversed(ranked) if _merit(example.new) < _merit(example.old)]
    return wins[:SHOWN_EXAMPLES], losses[:SHOWN_EXAMPLES]


def _merit(scored: Scored) -> float:
    return sum(value for value in (scored.correct, scored.cited, scored.abstained) if value)


def _estimate(scored: Sequence[Scored], arm: Arm, measure: str) -> Estimate | None:
    applies = [
        (each, value) for each in scored if each.arm is arm and (value := MEASURES[measure](each)) is not None
    ]
    if not applies:
        return None
    values = [value for _, value in applies]
    documents = [each.question.lineage.document_id for each, _ in applies]
    low, high = statistics.interval(np.array(values), documents, level=0.95)
    ceiling = float("inf") if measure == "seconds" else 1.0
    return Estimate(arm, fmean(values), max(low, 0.0), min(high, ceiling))


def _needed(comparison: Comparison) -> str:
    if not comparison.needed:
        return "–"
    return "∞" if comparison.needed >= MOST_NEEDED else f"{comparison.needed:,}"


def _here() -> dict[str, str]:
    return {
        "判定日時 (judged at)": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "機械 (machine)": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
    }


@lru_cache
def _css() -> Markup:
    return Markup(Path(__file__).with_name("report.css").read_text("utf-8"))  # ours, not a model's


@lru_cache
def _template() -> Template:
    source = Path(__file__).with_name("report.html.jinja").read_text("utf-8")
    house = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return house.from_string(source)
