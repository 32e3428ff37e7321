"""Which lane finds the nearest chunks: every visible one compared, or a walk through a graph."""

from __future__ import annotations

from enum import StrEnum


class Lane(StrEnum):
    EXACT = "exact"
    GRAPH = "graph"


def lane(visible_chunks: int, exact_limit: int) -> Lane:
    """Choose by how many chunks the principal may read.

    A graph is walked through forbidden chunks too. When they are most of it, a walk ends before it has met
    enough permitted ones: answers come back short or wrong, without an error. Comparing every visible chunk
    cannot go wrong, and up to some twenty thousand it is also quick.
    """
    return Lane.EXACT if visible_chunks <= exact_limit else Lane.GRAPH
