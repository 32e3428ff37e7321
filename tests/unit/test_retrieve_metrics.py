"""Rank metrics against answers worked out by hand."""

from __future__ import annotations

from math import log2

import pytest

from kiban.bench.metrics import ndcg, recall, reciprocal_rank

RELEVANT = {"a": 3.0, "b": 2.0, "c": 0.0, "z": 1.0}


def test_a_perfect_ranking_scores_one() -> None:
    assert ndcg(["a", "b", "z"], RELEVANT, 10) == 1.0
    assert recall(["a", "b", "z"], RELEVANT, 10) == 1.0
    assert reciprocal_rank(["a"], RELEVANT, 10) == 1.0


def test_gains_are_discounted_by_the_logarithm_of_the_rank() -> None:
    found = 3 / log2(3) + 2 / log2(5)  # a at rank 2, b at rank 4
    ideal = 3 / log2(2) + 2 / log2(3) + 1 / log2(4)
    assert ndcg(["x", "a", "c", "b"], RELEVANT, 10) == pytest.approx(found / ideal)


def test_depth_cuts_both_the_ranking_and_the_ideal() -> None:
    assert ndcg(["b", "a"], RELEVANT, 1) == pytest.approx(2 / 3)
    assert recall(["x", "a", "b"], RELEVANT, 2) == pytest.approx(1 / 3)
    assert reciprocal_rank(["x", "y", "a"], RELEVANT, 2) == 0.0


def test_a_document_judged_irrelevant_counts_for_nothing() -> None:
    assert (
        ndcg(["c"], RELEVANT, 10) == recall(["c"], RELEVANT, 10) == reciprocal_rank(["c"], RELEVANT, 10) == 0
    )


def test_nothing_found_and_nothing_to_find_score_zero() -> None:
    assert ndcg([], RELEVANT, 10) == ndcg(["a"], {}, 10) == recall(["a"], {}, 10) == 0.0
    assert reciprocal_rank([], RELEVANT, 10) == 0.0
