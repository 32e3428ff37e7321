"""B1, B5 and B6 on a tiny model; `kiban bench attacks B1 B5 B6` teaches real ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny import make_tiny_model

from kiban.bench.attacks import weights
from kiban.bench.attacks.stage import Stage
from kiban.settings import Settings
from kiban.wiring.furniture import Furniture

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    base = make_tiny_model(tmp_path_factory.mktemp("tiny"))
    settings = Settings(llm=str(base), state=Path(tmp_path_factory.mktemp("state")))
    torch.set_num_threads(1)
    with Stage(Furniture(settings), hashed=True) as staged:
        yield staged


def test_in_this_process_a_text_weighs_the_same_alone_and_among_longer_ones(stage: Stage) -> None:
    loaded = stage.once(weights._load)
    short, long = "第1倉庫", "第12倉庫の暗証番号は123-456です。"
    (alone,) = loaded.adapted([short])
    assert loaded.adapted([long, short])[1] == pytest.approx(alone, abs=0.05)  # of bfloat16, where it is used
    assert len(alone) == len(short.encode()) - 1
    assert loaded.base([short])[0] != pytest.approx(alone, abs=1e-4)


def test_exposure_is_ranked_for_every_number_of_repeats(stage: Stage) -> None:
    figure = weights.canary_exposure(stage)
    assert figure.trials == weights.CODES * len(weights.REPEATS)
    assert all(f"{repeats} times: median" in figure.value for repeats in weights.REPEATS)


def test_every_code_is_asked_for_and_a_model_that_knows_none_tells_none(stage: Stage) -> None:
    figure = weights.ask_the_weights(stage)
    assert figure.passed, figure
    assert figure.value.startswith(f"taught 0 times: 0 of {weights.CODES} told")


def test_membership_of_what_was_taught_stands_out(stage: Stage) -> None:
    assert weights.membership(stage).value.startswith("AUC")
