"""Watch two releases while they answer: is the new one worse by more than is allowed?

The rule, declared before anything is seen. Five things are counted of every answer: it failed, it abstained,
it held a quotation that was not verbatim, it got a thumb down, it was slow. Of each, the new release's share
minus the old one's must be below a margin. Shown to be below: the guard holds. Shown to be above: it is
broken. Neither: one cannot tell, and waits.

People are looked at again and again, so a test for one look would break an innocent release sooner or later.
The bounds hold at every look at once: a share lies in its confidence sequence, for all numbers of answers
together, with 97.5 % (the mixture of Robbins 1970, Ann. Math. Statist. 41, with a uniform weight), and of the
two arms' one bound each is used, so a guard errs at most once in twenty trials. Answers of one person are
alike: they count as the number of independent ones that tell as much (Kish's design effect), which is an
approximation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from scipy.optimize import brentq
from scipy.special import betaln

from kiban.domain.evidence import Outcome
from kiban.judge.sample_size import design_effect

ALPHA = 0.05  # of each guard, for a whole trial
SLOWER = 3.0  # times the old release's median is slow
_EDGE = 1e-9


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer as it was received."""

    person: str  # a pseudonym
    failed: bool
    abstained: bool
    refused: bool  # a quotation that was not verbatim
    disliked: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Guard:
    """What came of one thing that is counted."""

    measure: str
    margin: float
    old: float  # shares
    new: float
    low: float  # of new - old
    high: float
    outcome: Outcome


Count = Callable[[Seen], bool]
MARGINS: Mapping[str, float] = {  # how much larger a share may be
    "failed": 0.05,
    "abstained": 0.15,  # learning to abstain is wanted: the judge has shown where
    "refused": 0.15,
    "disliked": 0.10,
    "slow": 0.15,
}


def guards(old: Sequence[Seen], new: Sequence[Seen]) -> tuple[Guard, ...]:
    """Compare two releases by the answers people got from each."""
    usual = median(each.seconds for each in old) if old else 0.0
    counts: Mapping[str, Count] = {
        "failed": lambda seen: seen.failed,
        "abstained": lambda seen: seen.abstained,
        "refused": lambda seen: seen.refused,
        "disliked": lambda seen: seen.disliked,
        "slow": lambda seen: bool(old) and seen.seconds > SLOWER * usual,
    }
    return tuple(_guard(name, margin, counts[name], old, new) for name, margin in MARGINS.items())


def outcome(found: Sequence[Guard]) -> Outcome:
    """Return FAIL if a guard is broken, PASS if all hold, else CANNOT_TELL."""
    outcomes = {guard.outcome for guard in found}
    if Outcome.FAIL in outcomes:
        return Outcome.FAIL
    return Outcome.CANNOT_TELL if Outcome.CANNOT_TELL in outcomes else Outcome.PASS


def told(found: Sequence[Guard], old: Sequence[Seen], new: Sequence[Seen]) -> str:
    """Say it in one sentence, for the ledger: the broken guards, or all of them."""
    shown = [guard for guard in found if guard.outcome is Outcome.FAIL] or found
    shares = ", ".join(
        f"{guard.measure} {guard.old:.1%} → {guard.new:.1%} (at most +{guard.margin:.0%})" for guard in shown
    )
    people = len({seen.person for seen in new})
    return f"{len(new)} answers to {people} people beside {len(old)}: {shares}."


def sequence(successes: float, count: float, alpha: float) -> tuple[float, float]:
    """Return the confidence sequence's bounds of a share after `count` answers.

    A share is left out when all shares, mixed evenly, make the data 1 / alpha times as likely as it does.
    """
    if count <= 0:
        return 0.0, 1.0

    def surprise(share: float) -> float:
        failures = count - successes
        mixed = betaln(successes + 1, failures + 1)
        return float(mixed - successes * math.log(share) - failures * math.log1p(-share) + math.log(alpha))

    mean = min(max(successes / count, _EDGE), 1 - _EDGE)
    low = float(brentq(surprise, _EDGE, mean)) if surprise(_EDGE) > 0 > surprise(mean) else 0.0
    high = float(brentq(surprise, mean, 1 - _EDGE)) if surprise(1 - _EDGE) > 0 > surprise(mean) else 1.0
    return low, high


def _guard(name: str, margin: float, counts: Count, old: Sequence[Seen], new: Sequence[Seen]) -> Guard:
    old_low, old_high = _bounds(counts, old)
    new_low, new_high = _bounds(counts, new)
    low, high = new_low - old_high, new_high - old_low
    decided = Outcome.PASS if high < margin else Outcome.FAIL if low > margin else Outcome.CANNOT_TELL
    return Guard(name, margin, _share(counts, old), _share(counts, new), low, high, decided)


def _share(counts: Count, seen: Sequence[Seen]) -> float:
    return sum(map(counts, seen)) / len(seen) if seen else 0.0


def _bounds(counts: Count, seen: Sequence[Seen]) -> tuple[float, float]:
    if not seen:
        return 0.0, 1.0
    numbers = {person: number for number, person in enumerate(sorted({each.person for each in seen}))}
    values = np.array([float(counts(each)) for each in seen])
    alike = design_effect(values, [numbers[each.person] for each in seen])
    return sequence(values.sum() / alike, len(seen) / alike, ALPHA / 2)
