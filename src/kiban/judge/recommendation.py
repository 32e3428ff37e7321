"""What a manager is told first, in Japanese and English: do it, do not, or how much more must be asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kiban.domain.access import Audience
from kiban.domain.evidence import Arm, Comparison, Outcome, Verdict
from kiban.judge import phrases
from kiban.judge.sample_size import MOST_NEEDED


@dataclass(frozen=True, slots=True)
class Both:
    """The same words for readers of either language."""

    japanese: str
    english: str


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The first screen of the report, in words."""

    word: Both  # the headline
    sentence: Both
    worse: tuple[Comparison, ...]  # shown to be worse; here and below, each measure is told of once
    better: tuple[Comparison, ...]  # shown to be better
    held: tuple[Comparison, ...]  # shown not to be worse by more than is allowed
    unknown: tuple[Comparison, ...]
    next: tuple[Both, ...]  # what it takes from here


def recommend(verdict: Verdict) -> Recommendation:
    """Turn a verdict into advice. Nothing is decided here."""
    comparisons = verdict.evaluation.comparisons
    better = [each for each in comparisons if each.outcome is Outcome.PASS and each.role == "primary"]
    worse = [each for each in comparisons if each.outcome is Outcome.FAIL]
    unknown = [each for each in comparisons if each.outcome is Outcome.CANNOT_TELL]
    held = [each for each in comparisons if each.outcome is Outcome.PASS and each.role == "guard"]
    return Recommendation(
        _WORDS[verdict.outcome],
        _sentence(verdict),
        worse=_new(worse),
        better=_new(better, worse),
        held=_new(held, worse, better),
        unknown=_new(unknown, worse, better, held),
        next=tuple(_next(verdict)),
    )


def missing(verdict: Verdict) -> int | None:
    """Return how many more questions would probably settle the verdict, None when no number would."""
    comparisons = verdict.evaluation.comparisons
    primaries = [c for c in comparisons if c.role == "primary"]
    open_guards = [c for c in comparisons if c.role == "guard" and c.outcome is Outcome.CANNOT_TELL]
    nearest = [] if any(c.outcome is Outcome.PASS for c in primaries) else primaries
    wanted = [*open_guards, *sorted(nearest, key=phrases.missing)[:1]]
    if any(c.needed >= MOST_NEEDED for c in wanted):
        return None
    return max(map(phrases.missing, wanted), default=1)


def _new(found: Sequence[Comparison], *told: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Return one comparison for each measure, against each opponent and in each zone, that was not told of
    before: one measure may be a primary, which must be better, and a guard, which must not be worse."""
    before = {_told(each) for group in told for each in group}
    by_measure = {_told(each): each for each in reversed(found) if _told(each) not in before}
    return tuple(reversed(by_measure.values()))


def _told(comparison: Comparison) -> tuple[str, Arm, Audience]:
    return comparison.measure, comparison.against, comparison.zone


def _sentence(verdict: Verdict) -> Both:
    if Arm.OTHER_RAG in verdict.evaluation.arms:
        return _OF_ANOTHER_BASE[verdict.outcome]
    if verdict.adapter_earned:
        return Both(
            "学習したモデルは、元のモデルより良いと確かめられました。",
            "The model that learnt from your documents was shown to be better than the one it came from.",
        )
    if verdict.outcome is Outcome.PASS:
        return Both(
            "検索だけが良くなったと確かめられました。回答するモデルは変えません。",
            "Only the search was shown to be better. The model that writes the answers stays as it is.",
        )
    if any(each.role == "audit" and each.outcome is Outcome.FAIL for each in verdict.evaluation.comparisons):
        return Both(
            "学習したモデルは、知ってはならないことを覚えています。今のまま使い続けてください。",
            "The model that learnt knows what it must not know. Keep what answers now.",
        )
    if verdict.outcome is Outcome.FAIL:
        return Both(
            "学習したモデルには悪くなった点があります。今のまま使い続けてください。",
            "The model that learnt got worse at something. Keep what answers now.",
        )
    return Both(
        "良くなったとは、まだ言い切れません。今のまま使い続けてください。",
        "It cannot be said yet that it got better. Keep what answers now.",
    )


def _next(verdict: Verdict) -> Iterator[Both]:
    if verdict.outcome is Outcome.PASS:
        yield Both(
            "公開は kiban promote、取り消しは kiban rollback です。どちらも停止なしで、数秒で終わります。",
            "kiban promote releases it, kiban rollback takes it back: seconds each, and nothing stops.",
        )
        return
    if verdict.outcome is Outcome.FAIL:
        yield Both(
            "下の「悪くなった例」を読み、学習の中身を見直してください。何も変更されていません。",
            "Read the losses below, and look at what it learnt from. Nothing was changed.",
        )
        return
    more = missing(verdict)
    if more is None:
        yield Both(
            "差が見えません。問いを増やすより、学習の中身を見直してください。",
            "No difference is in sight. Look at what it learns from, rather than asking more questions.",
        )
        return
    seconds = more * verdict.evaluation.seconds / max(verdict.evaluation.questions, 1)
    yield Both(
        f"問いをあと約{more:,}問増やせば、判断できる見込みです。この機械では約{_minutes_ja(seconds)}かかります。",
        f"About {more:,} more questions would probably decide: some {_minutes_en(seconds)} on this machine.",
    )


def _minutes_ja(seconds: float) -> str:
    return f"{seconds / 3600:.1f}時間" if seconds >= 5400 else f"{max(round(seconds / 60), 1)}分"


def _minutes_en(seconds: float) -> str:
    if seconds >= 5400:
        return f"{seconds / 3600:.1f} hours"
    return "a minute" if seconds < 90 else f"{round(seconds / 60)} minutes"


_OF_ANOTHER_BASE = {
    Outcome.PASS: Both(
        "別の元モデルは、今の公開版に劣らず、しかもより良いか、速いか、軽いと確かめられました。",
        "The other base model was shown to be no worse than what answers now, and better, faster or lighter.",
    ),
    Outcome.FAIL: Both(
        "別の元モデルには、今の公開版より悪い点があります。今のまま使い続けてください。",
        "The other base model is worse at something than what answers now. Keep what answers now.",
    ),
    Outcome.CANNOT_TELL: Both(
        "別の元モデルが今の公開版に劣らないとは、まだ言い切れません。今のまま使い続けてください。",
        "It cannot be said yet that the other base model is no worse. Keep what answers now.",
    ),
}
_WORDS = {
    Outcome.PASS: Both("採用を勧めます", "Release it"),
    Outcome.FAIL: Both("採用しません", "Do not release it"),
    Outcome.CANNOT_TELL: Both("まだ判断できません", "Cannot tell yet"),
}
