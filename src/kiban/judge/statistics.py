"""Paired comparisons of two arms on the same questions, clustered by document.

Questions made from one document succeed and fail together, so the document, not the question, is the unit
that is drawn at random. What decides:

* Superiority: the sign-flip test over documents, two-sided (Canay, Romano & Shaikh 2017, *Randomization Tests
  under an Approximate Symmetry Assumption*, Econometrica 85). If adaptation changes nothing, a document's
  summed difference is as likely negative as positive, so flipping whole documents gives the exact null
  distribution, however few the documents and however correlated their questions. McNemar's exact test, which
  takes every question as independent, stands beside it as a cross-check and decides nothing.
* Non-inferiority: the BCa bootstrap interval over documents (Efron 1987, JASA 82), one-sided 5 %, expanded
  for small samples as Hesterberg (2015, *What Teachers Should Know About the Bootstrap*, The American
  Statistician 69) proposes, because the plain bootstrap is too narrow on a dozen documents.
* Multiplicity: Holm (1979, Scand. J. Statist. 6) over the primaries.

Differences are oriented so that positive is better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from kiban.domain.evidence import Comparison, Outcome
from kiban.judge import sample_size
from kiban.judge.sample_size import MOST_NEEDED, Array, by_document

ALPHA = 0.05
_EXACT_UP_TO = 12  # documents whose 2^n sign patterns are all tried; more are sampled
_FEW_DOCUMENTS = 8  # fewer do not determine BCa's corrections; Student's interval is wide enough for them
_RESAMPLES = 9_999
_SEED = 20_240_229


@dataclass(frozen=True, slots=True)
class Pairs:
    """The scores of two arms on the same questions, and the document each question was made from.

    On a measure that should be low, such as abstaining where an answer exists, give negated scores.
    """

    old: Sequence[float]
    new: Sequence[float]
    documents: Sequence[int]

    def __len__(self) -> int:
        return len(self.old)

    @property
    def differences(self) -> Array:
        return np.subtract(self.new, self.old, dtype=np.float64)

    @property
    def wins(self) -> int:
        return int((self.differences > 0).sum())

    @property
    def losses(self) -> int:
        return int((self.differences < 0).sum())


def settle(primaries: Sequence[tuple[str, Pairs]]) -> list[Comparison]:
    """Test whether the new arm is better on each (measure, pairs), corrected for each other by Holm.

    PASS needs the adjusted p. FAIL, a difference in the wrong direction, needs only the plain one: the
    correction protects against finding too much good, not against finding harm.
    """
    compared = [compare(measure, pairs) for measure, pairs in primaries]
    adjusted = holm([comparison.p_value for comparison in compared])
    return [
        _settled(comparison, p_value, pairs)
        for comparison, p_value, (_, pairs) in zip(compared, adjusted, primaries, strict=True)
    ]


def compare(measure: str, pairs: Pairs) -> Comparison:
    """Measure how much better the new arm is; `settle` decides."""
    if not len(pairs):
        return _nothing(measure, "primary", MOST_NEEDED)
    low, high = interval(pairs.differences, pairs.documents, level=1 - ALPHA)
    return _comparison(measure, "primary", pairs, low, high)


def compare_guard(measure: str, pairs: Pairs, margin: float) -> Comparison:
    """Test whether the new arm is worse by less than `margin`, one-sided 5 %.

    PASS when the interval lies above −margin, FAIL when it lies below, CANNOT TELL between. The interval is
    the 90 % one, whose ends are the two one-sided 5 % bounds.
    """
    if not len(pairs):
        return _nothing(measure, "guard", math.ceil(3 / margin), margin)
    low, high = interval(pairs.differences, pairs.documents, level=1 - 2 * ALPHA)
    outcome = Outcome.PASS if low > -margin else Outcome.FAIL if high < -margin else Outcome.CANNOT_TELL
    guard = _comparison(measure, "guard", pairs, low, high)
    needed = (
        0
        if outcome is not Outcome.CANNOT_TELL
        else sample_size.to_decide(pairs.differences, pairs.documents, margin)
    )
    return replace(guard, margin=margin, outcome=outcome, needed=needed)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's step-down adjusted p-values, in the order given."""
    adjusted, floor = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = floor
    return adjusted


def sign_flip_p(pairs: Pairs) -> float:
    """Return the two-sided p-value of the sign-flip test over documents; 1.0 when nothing differs.

    The smallest p that n differing documents can give is 2 / 2^n, so five or fewer never reach 5 %.
    """
    sums = np.array([each.sum() for each in by_document(pairs.differences, pairs.documents)])
    sums = sums[np.abs(sums) > 1e-12]  # a sum of zero is the same whichever way it is flipped
    if len(sums) < 2:
        return 1.0
    test = stats.permutation_test(
        (sums,),
        np.sum,
        permutation_type="samples",
        n_resamples=np.inf if len(sums) <= _EXACT_UP_TO else _RESAMPLES,
        vectorized=True,
        rng=np.random.default_rng(_SEED),
    )
    return float(test.pvalue)


def mcnemar_p(wins: int, losses: int) -> float:
    """Return the exact two-sided McNemar p-value: a binomial test on the pairs that differ."""
    return float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def interval(values: Array, documents: Sequence[int], level: float) -> tuple[float, float]:
    """Return the BCa bootstrap interval of the mean, drawing whole documents; seeded.

    Where no document deviates from the others the bootstrap would claim certainty. Then the exact binomial
    bound for "none of n documents" is used instead, about ±3/n.
    """
    clusters = by_document(values, documents)
    sums, sizes = np.array([each.sum() for each in clusters]), np.array([len(each) for each in clusters])
    mean = float(sums.sum() / sizes.sum())
    if len(clusters) < 2 or np.ptp(sums / sizes) < 1e-12:
        unseen = 1 - ((1 - level) / 2) ** (1 / len(clusters))
        return mean - unseen, mean + unseen
    if len(clusters) < _FEW_DOCUMENTS:
        half = _student(level, len(clusters)) * _standard_error(sums, sizes)
        return mean - half, mean + half
    drawn = stats.bootstrap(
        (sums, sizes),
        lambda sums, sizes, axis: sums.sum(axis=axis) / sizes.sum(axis=axis),
        n_resamples=_RESAMPLES,
        paired=True,
        vectorized=True,
        confidence_level=_expanded(level, len(clusters)),
        method="BCa",
        rng=np.random.default_rng(_SEED),
    )
    return float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)


def _expanded(level: float, documents: int) -> float:
    """Return the level whose plain bootstrap interval is as wide as Student's on so few documents."""
    widened = math.sqrt(documents / (documents - 1)) * _student(level, documents)
    return float(1 - 2 * stats.norm.sf(widened))


def _student(level: float, documents: int) -> float:
    return float(stats.t.ppf((1 + level) / 2, documents - 1))


def _standard_error(sums: Array, sizes: NDArray[np.int64]) -> float:
    """Return the standard error of sum(sums) / sum(sizes), documents being independent (Miller 2024)."""
    residuals = sums - sizes * sums.sum() / sizes.sum()
    return math.sqrt(len(sums) / (len(sums) - 1) * np.square(residuals).sum()) / float(sizes.sum())


def _settled(comparison: Comparison, adjusted: float, pairs: Pairs) -> Comparison:
    comparison = replace(comparison, adjusted_p=adjusted, needed=0)
    if adjusted < ALPHA and comparison.difference > 0:
        return replace(comparison, outcome=Outcome.PASS)
    if comparison.p_value < ALPHA and comparison.difference < 0:
        return replace(comparison, outcome=Outcome.FAIL)
    return replace(
        comparison,
        outcome=Outcome.CANNOT_TELL,
        needed=sample_size.to_show(pairs.differences, pairs.documents),
    )


def _comparison(measure: str, role: str, pairs: Pairs, low: float, high: float) -> Comparison:
    p_value = sign_flip_p(pairs)
    return Comparison(
        measure=measure,
        role=role,
        old=float(np.mean(pairs.old)),
        new=float(np.mean(pairs.new)),
        difference=float(pairs.differences.mean()),
        low=low,
        high=high,
        p_value=p_value,
        adjusted_p=p_value,
        questions=len(pairs),
        outcome=Outcome.CANNOT_TELL,
        wins=pairs.wins,
        losses=pairs.losses,
    )


def _nothing(measure: str, role: str, needed: int, margin: float = 0.0) -> Comparison:
    """No question of this kind was asked, so nothing is known."""
    return Comparison(
        measure, role, 0.0, 0.0, 0.0, -1.0, 1.0, 1.0, 1.0, 0, Outcome.CANNOT_TELL, margin, needed
    )
