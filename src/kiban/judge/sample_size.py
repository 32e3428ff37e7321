"""How many questions a decision needs, counting that questions of one document are alike."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MOST_NEEDED = 100_000  # beyond this many questions a difference is no difference
_ONE_SIDED, _TWO_SIDED, _POWER = 1.6449, 1.9600, 0.8416  # normal quantiles: 5 %, 2.5 %, 80 % power

Array = NDArray[np.float64]


def to_show(differences: Array, documents: Sequence[int]) -> int:
    """Return how many questions would show the observed difference: two-sided 5 %, 80 % power.

    Connor (1987, Biometrics 43) for paired proportions, times the design effect. For proportions the mean
    square of the differences is the share of discordant questions.
    """
    if not len(differences) or abs(differences.mean()) < 1e-9:
        return MOST_NEEDED
    square, spread = np.square(differences).mean(), differences.var()
    independent = (_TWO_SIDED * math.sqrt(square) + _POWER * math.sqrt(spread)) ** 2 / differences.mean() ** 2
    return _whole(independent * design_effect(differences, documents))


def to_decide(differences: Array, documents: Sequence[int], margin: float) -> int:
    """Return how many questions would decide a non-inferiority guard: one-sided 5 %, 80 % power.

    Supposes that an observed loss is the true one, and hopes for no gain.
    """
    room = abs(margin + min(float(differences.mean()), 0.0))
    if room < 1e-9:
        return MOST_NEEDED
    independent = (_ONE_SIDED + _POWER) ** 2 * differences.var() / room**2
    none_differs = 3 / room  # seeing no difference in n questions leaves a share of 3 / n possible
    return _whole(max(independent, none_differs) * design_effect(differences, documents))


def design_effect(values: Array, documents: Sequence[int]) -> float:
    """Return how many clustered questions are worth one independent question (Kish 1965), at least 1."""
    clusters = by_document(values, documents)
    count, spread = len(values), float(values.var())
    if spread == 0 or len(clusters) < 2:
        return 1.0
    residuals = [each.sum() - len(each) * values.mean() for each in clusters]
    clustered = len(clusters) / (len(clusters) - 1) * float(np.square(residuals).sum()) / count
    largest = max(len(each) for each in clusters)
    return min(max(clustered / spread, 1.0), float(largest))


def by_document(values: Array, documents: Sequence[int]) -> list[Array]:
    _, where = np.unique(np.asarray(documents), return_inverse=True)
    return [values[where == cluster] for cluster in range(int(where.max()) + 1)]


def _whole(questions: float) -> int:
    return min(math.ceil(questions), MOST_NEEDED)
