"""How sure a mean over questions is: bootstrap intervals, paired where two things met the same questions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 2_000
LEVEL = 0.95


def interval(values: Sequence[float], seed: int = 7) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of the mean (Efron & Tibshirani 1993).

    Questions are drawn anew, the documents are not: it speaks for other questions to this corpus. Give it the
    differences, question by question, and it is the paired one.
    """
    if not len(values):
        return 0.0, 0.0
    drawn = np.random.default_rng(seed)
    scores = np.asarray(values, dtype=np.float64)
    means = [scores[drawn.integers(0, len(scores), len(scores))].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def difference(new: Sequence[float], old: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean of new - old and its paired 95 % interval."""
    differences = np.subtract(new, old, dtype=np.float64)
    return (float(differences.mean()) if len(differences) else 0.0, *interval(differences.tolist()))
