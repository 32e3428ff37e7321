"""Decide whether another base model has earned the place of what answers now, adapters and all.

An adapter belongs to one base, so a house that moves to another base gives up every adapter it has. What the
other base alone has to beat is therefore the release in force as people get it, zone by zone.

**Guards**, tested for non-inferiority: correctness, citation, abstention where the documents do not say,
abstention where they do, and time per answer. All have to be shown to hold, in every zone.

**Primaries**, tested for superiority and corrected by Holm: correctness, citation, and a tenth less time per
answer. In every zone one has to be better, or else the model has to be lighter by a quarter, which is
weighed and needs no test: a base in eight bits may be as good, and cheaper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from kiban.domain.access import Audience
from kiban.domain.evidence import Arm, Comparison, Evaluation, Outcome, Scored, Verdict
from kiban.judge import phrases, statistics
from kiban.judge.sample_size import MOST_NEEDED
from kiban.judge.statistics import Pairs
from kiban.judge.verdict import PRIMARIES, Thresholds, against_all, guards, means, paired

LESS_TIME = 0.1  # of the time per answer, at least, to count as faster
LESS_WEIGHT = 0.25  # of the bytes, at least, to count as lighter
FASTER = "faster"


@dataclass(frozen=True, slots=True)
class Bytes:
    """What the weights of two base models take, on disk and, about as much, in memory."""

    old: int
    new: int

    @property
    def lighter(self) -> bool:
        return self.new <= (1 - LESS_WEIGHT) * self.old

    def __str__(self) -> str:
        saved = 1 - self.new / max(self.old, 1)
        change = f"{abs(saved):.0%} {'lighter' if saved >= 0 else 'heavier'}"
        old, new = (f"{size / 1e9:.2f} GB" for size in (self.old, self.new))
        return f"Weights: {old} → {new}: {change}; {LESS_WEIGHT:.0%} less would count."


def decide(
    candidate_id: str,
    scored: Sequence[Scored],
    weighed: Bytes,
    *,
    champion: str,
    thresholds: Thresholds | None = None,
    seconds: float = 0.0,
) -> Verdict:
    """Judge another base model by its scored answers and those of the release in force, `champion`, to the
    same questions.

    `seconds` is how long the asking took. Raises ValueError when the two were not asked the same questions.
    """
    limits = thresholds or Thresholds()
    zones = list(dict.fromkeys(each.question.audience for each in scored))
    by_zone = {zone: _compare(scored, zone, limits) for zone in zones}
    outcome = against_all([_outcome(compared, weighed) for compared in by_zone.values()])
    comparisons = tuple(each for compared in by_zone.values() for each in compared)
    return Verdict(
        outcome=outcome or Outcome.CANNOT_TELL,
        reasons=(*map(phrases.english, comparisons), str(weighed))
        if comparisons
        else ("Nothing was asked.",),
        evaluation=Evaluation(
            candidate_id=candidate_id,
            arms=means(scored),
            comparisons=comparisons,
            questions=len({each.question for each in scored}),
            documents=len({each.question.lineage.document_id for each in scored}),
            seconds=seconds,
        ),
        base_earned=outcome is Outcome.PASS,
        champion=champion,
    )


def _compare(scored: Sequence[Scored], zone: Audience, limits: Thresholds) -> list[Comparison]:
    asked = [each for each in scored if each.question.audience == zone]
    pairs = paired(asked, Arm.CHAMPION_RAG, Arm.OTHER_RAG)
    primaries = {**{name: pairs[name] for name in PRIMARIES}, FASTER: _less_time(pairs["seconds"])}
    *better, faster = statistics.settle(list(primaries.items()))
    cited = statistics.compare_guard("cited", pairs["cited"], limits.correct)
    compared = [*better, _not_harmed(faster), cited, *guards(pairs, limits)]
    return [replace(each, against=Arm.CHAMPION_RAG, zone=zone) for each in compared]


def _less_time(seconds: Pairs) -> Pairs:
    """Return the pairs by which an answer has to be faster by LESS_TIME of the old mean, here 1."""
    unit = fmean(seconds.old) or 1.0 if len(seconds) else 1.0
    old = [-(each / unit - LESS_TIME) for each in seconds.old]
    return Pairs(old, [-each / unit for each in seconds.new], seconds.documents)


def _not_harmed(faster: Comparison) -> Comparison:
    """Being slow is guarded against by its own margin; here it only does not help."""
    faster = replace(faster, old=-faster.old, new=-faster.new)
    if faster.outcome is not Outcome.FAIL:
        return faster
    return replace(faster, outcome=Outcome.CANNOT_TELL, needed=MOST_NEEDED)


def _outcome(compared: Sequence[Comparison], weighed: Bytes) -> Outcome:
    outcomes = {
        role: [each.outcome for each in compared if each.role == role] for role in ("primary", "guard")
    }
    if Outcome.FAIL in (*outcomes["primary"], *outcomes["guard"]):
        return Outcome.FAIL
    held = all(outcome is Outcome.PASS for outcome in outcomes["guard"])
    gained = weighed.lighter or Outcome.PASS in outcomes["primary"]
    return Outcome.PASS if held and gained else Outcome.CANNOT_TELL
