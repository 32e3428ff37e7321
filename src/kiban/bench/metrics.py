"""Rank metrics for one question: `ranking` holds document ids, best first; `relevant` their grades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2


def ndcg(ranking: Sequence[str], relevant: Mapping[str, float], depth: int) -> float:
    """Normalised discounted cumulative gain with linear gains, as trec_eval counts it, 0..1.

    Järvelin & Kekäläinen, Cumulated gain-based evaluation of IR techniques, 2002.
    """
    ideal = _gain(sorted((grade for grade in relevant.values() if grade > 0), reverse=True)[:depth])
    return _gain([max(relevant.get(id, 0.0), 0.0) for id in ranking[:depth]]) / ideal if ideal else 0.0


def recall(ranking: Sequence[str], relevant: Mapping[str, float], depth: int) -> float:
    """Share of the relevant documents among the first `depth`, 0..1."""
    wanted = {id for id, grade in relevant.items() if grade > 0}
    return len(wanted.intersection(ranking[:depth])) / len(wanted) if wanted else 0.0


def reciprocal_rank(ranking: Sequence[str], relevant: Mapping[str, float], depth: int) -> float:
    """One over the rank of the first relevant document, 0 when it is not among the first `depth`."""
    ranks = (rank for rank, id in enumerate(ranking[:depth], start=1) if relevant.get(id, 0.0) > 0)
    return 1.0 / next(ranks, float("inf"))


def _gain(grades: Sequence[float]) -> float:
    return sum(grade / log2(rank + 1) for rank, grade in enumerate(grades, start=1))
