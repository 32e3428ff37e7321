"""A cross-encoder, small and untrained, loaded and asked as a real one is."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_reranker import make_cross_encoder, make_encoder

from kiban.backends.cross_encoder import STEPS, CrossEncoderReranker
from kiban.errors import BadWeights


@pytest.fixture(scope="module")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> CrossEncoderReranker:
    return CrossEncoderReranker(make_cross_encoder(tmp_path_factory.mktemp("cross-encoder")), "cpu", 2)


def test_scores_come_in_the_order_of_the_passages_whatever_their_lengths(
    reranker: CrossEncoderReranker,
) -> None:
    passages = ["pump valve oil leave days", "oil", "valve pump", "days days days"]
    together = reranker.scores("pump", passages)
    alone = [reranker.scores("pump", [passage])[0] for passage in passages]
    assert together == pytest.approx(alone, abs=2e-2)  # bfloat16, where there is
    assert len({round(score, 3) for score in alone}) > 1
    assert all(0 <= score <= 1 for score in together)
    assert reranker.scores("pump", []) == []
    assert reranker.scores("pump", passages) == together


def test_the_budget_is_a_number_of_passages_and_none_when_there_is_no_time(
    reranker: CrossEncoderReranker,
) -> None:
    assert reranker.passages_within(1e9, "pump valve") == STEPS[0]
    assert reranker.passages_within(0, "pump valve") == 0


def test_what_is_no_reranker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadWeights):
        CrossEncoderReranker(tmp_path, "cpu")
    with pytest.raises(BadWeights):
        CrossEncoderReranker(make_cross_encoder(tmp_path / "two", labels=2), "cpu")
    with pytest.raises(BadWeights, match="without a head"):
        CrossEncoderReranker(make_encoder(tmp_path / "encoder"), "cpu")
