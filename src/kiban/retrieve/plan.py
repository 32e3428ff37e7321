"""Which lane finds the nearest chunks: every visible one compared, or walks through the graphs of
large zones."""

from __future__ import annotations

from enum import StrEnum


class Lane(StrEnum):
    EXACT = "exact"
    GRAPH = "graph"


def lane(visible_chunks: int, exact_limit: int) -> Lane:
    """Choose by how many chunks the principal may read.

    Comparing every visible chunk cannot go wrong, and is quick for few. For many, each zone that is large has
    a graph of its own, with one audience; the chunks of smaller zones are still compared. A graph through all
    zones would be walked through forbidden chunks too, end before it has met enough permitted ones, and let
    forbidden ones decide which are found.
    """
    return Lane.EXACT if visible_chunks <= exact_limit else Lane.GRAPH
