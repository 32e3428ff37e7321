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

from kiban.domain.evidence import Arm, Comparison, Outcome, Scored, Verdict
from kiban.domain.learning import Candidate, Curriculum, Question
from kiban.judge import phrases, statistics
from kiban.judge.sample_size import MOST_NEEDED
from kiban.judge.verdict import MEASURES

ARM_NAMES = {
    Arm.BASE: "元のモデル",
    Arm.BASE_RAG: "元のモデル＋検索",
    Arm.ADAPTED: "学習後",
    Arm.ADAPTED_RAG: "学習後＋検索",
}
SHOWN_EXAMPLES = 3  # of each kind
PLOTTED = ("correct", "cited", "abstained")


@dataclass(frozen=True, slots=True)
class Estimate:
    """One arm's mean on one measure with its 95 % interval over documents."""

    arm: Arm
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Example:
    """One question, answered by base+RAG and by adapted+RAG."""

    question: Question
    old: Scored
    new: Scored


def render(
    candidate: Candidate,
    verdict: Verdict,
    scored: Sequence[Scored],
    curriculum: Curriculum,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Return the page. `environment` is what a reader needs to repeat it: models, versions, settings."""
    wins, losses = examples(scored)
    return _template().render(
        candidate=candidate,
        verdict=verdict,
        word=_WORDS[verdict.outcome],
        sentence=headline(verdict),
        advice=advice(verdict),
        estimates=(table := estimates(scored)),
        plotted={measure: table[measure] for measure in PLOTTED if measure in table},
        arms=ARM_NAMES,
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
        needed=_needed,
    )


def headline(verdict: Verdict) -> str:
    """Say the verdict in one Japanese sentence."""
    if verdict.adapter_earned:
        return "学習したモデルは、元のモデルより良いと確かめられました。"
    if verdict.embedder_earned:
        return "検索だけが良くなったと確かめられました。回答するモデルは変えません。"
    if any(each.role == "audit" and each.outcome is Outcome.FAIL for each in verdict.evaluation.comparisons):
        return "学習したモデルは、知ってはならないことを覚えています。採用しません。"
    if verdict.outcome is Outcome.FAIL:
        return "学習したモデルには悪くなった点があります。採用しません。"
    return "良くなったとは、まだ言い切れません。採用しません。"


def advice(verdict: Verdict) -> str:
    """Say in Japanese how many questions would settle the verdict; "" when it is settled."""
    if verdict.outcome is not Outcome.CANNOT_TELL:
        return ""
    comparisons = verdict.evaluation.comparisons
    primaries = [c for c in comparisons if c.role == "primary"]
    open_guards = [c for c in comparisons if c.role == "guard" and c.outcome is Outcome.CANNOT_TELL]
    nearest = [] if any(c.outcome is Outcome.PASS for c in primaries) else primaries
    wanted = [*open_guards, *sorted(nearest, key=phrases.missing)[:1]]
    if any(c.needed >= MOST_NEEDED for c in wanted):
        return "差が見えません。問いを増やすより、学習の中身を見直してください。"
    return f"問いをあと約{max(map(phrases.missing, wanted), default=1):,}問増やせば、判断できる見込みです。"


def estimates(scored: Sequence[Scored]) -> dict[str, list[Estimate]]:
    """Return every measure's means and intervals in the order of the arms, where the measure applies."""
    table: dict[str, list[Estimate]] = {}
    for measure in MEASURES:
        rows = [row for arm in Arm if (row := _estimate(scored, arm, measure))]
        if rows:
            table[measure] = rows
    return table


def examples(scored: Sequence[Scored]) -> tuple[list[Example], list[Example]]:
    """Return the clearest wins and the clearest losses of adapted+RAG over base+RAG."""
    answers = {(each.question, each.arm): each for each in scored}
    both = [
        Example(question, old, answers[question, Arm.ADAPTED_RAG])
        for (question, arm), old in answers.items()
        if arm is Arm.BASE_RAG and (question, Arm.ADAPTED_RAG) in answers
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
def _template() -> Template:
    source = Path(__file__).with_name("report.html.jinja").read_text("utf-8")
    house = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return house.from_string(source)


_WORDS = {
    Outcome.PASS: "合格",
    Outcome.FAIL: "不合格",
    Outcome.CANNOT_TELL: "判断できません",
}
