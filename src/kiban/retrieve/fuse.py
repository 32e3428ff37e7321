"""Two rankings into one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from kiban.domain.question import LaneRank, Passage


def fuse(
    rankings: Sequence[Sequence[Passage]], weights: Sequence[float], limit: int | None = None
) -> list[Passage]:
    """Return every passage once, or the best `limit`, best first, scored by the weighted sum of its scores in
    each ranking.

    Each ranking's scores are first stretched to 0..1, worst to best (min-max normalisation; Bruch et al.,
    An Analysis of Fusion Functions for Hybrid Retrieval, 2023). A passage that a ranking lacks gets 0 there.
    """
    scores: defaultdict[int, float] = defaultdict(float)
    passages: dict[int, Passage] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for passage, score in zip(ranking, _stretched(ranking), strict=True):
            scores[passage.chunk_id] += weight * score
            passages[passage.chunk_id] = passage
    best_first = sorted(scores, key=lambda chunk_id: (-scores[chunk_id], chunk_id))
    return [replace(passages[chunk_id], score=scores[chunk_id]) for chunk_id in best_first[:limit]]


def explain(passages: Sequence[Passage], rankings: Mapping[str, Sequence[Passage]]) -> list[Passage]:
    """Return the passages, each with its rank and score in every lane that found it."""
    places: defaultdict[int, list[LaneRank]] = defaultdict(list)
    for lane, ranking in rankings.items():
        for rank, passage in enumerate(ranking, start=1):
            places[passage.chunk_id].append(LaneRank(lane, rank, passage.score))
    return [replace(passage, why=tuple(places[passage.chunk_id])) for passage in passages]


def _stretched(ranking: Sequence[Passage]) -> list[float]:
    if not ranking:
        return []
    scores = [passage.score for passage in ranking]
    low, high = min(scores), max(scores)
    return [(score - low) / (high - low) if high > low else 1.0 for score in scores]
