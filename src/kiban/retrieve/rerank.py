"""The best of the fused ranking, read again together with the question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kiban.domain.question import Passage
from kiban.ports import Reranker


@dataclass(frozen=True, slots=True)
class Reranking:
    """Who reads, how much, and how much that counts.

    The budget is a number of passages, worked out from milliseconds once, when the reranker is loaded. A
    stopwatch in the middle of a question would let other people's load decide what somebody receives: it
    could not be repeated, and would tell them of one another.
    """

    reranker: Reranker
    passages: int
    weight: float = 0.3  # of the reranker; the rest is the fused score


def rerank(question: str, fused: Sequence[Passage], how: Reranking) -> list[Passage]:
    """Return every passage once, best first, scored by the weighted mean of the fused score and the
    reranker's, both 0..1. A passage beyond the budget gets 0 from the reranker."""
    read = fused[: how.passages]
    scores = how.reranker.scores(question, [reading_text(passage) for passage in read])
    rescored = [
        replace(passage, score=(1 - how.weight) * passage.score + how.weight * score)
        for passage, score in zip(fused, [*scores, *[0.0] * (len(fused) - len(read))], strict=True)
    ]
    return sorted(rescored, key=lambda passage: -passage.score)  # stable: equals keep the fused order


def reading_text(passage: Passage) -> str:
    """Return what the reranker reads of a passage: its title and headings on a line, then the text."""
    where = " › ".join(part for part in (passage.title, passage.place.heading) if part)
    return f"{where}\n{passage.normalised}" if where else passage.normalised
