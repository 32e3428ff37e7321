"""The lane follows from what the principal may read."""

from __future__ import annotations

from kiban.retrieve.plan import Lane, lane


def test_few_visible_chunks_are_searched_exactly() -> None:
    assert lane(0, 20_000) is lane(20_000, 20_000) is Lane.EXACT


def test_many_visible_chunks_are_searched_through_the_graph() -> None:
    assert lane(20_001, 20_000) is lane(1, 0) is Lane.GRAPH
