"""Trainings killed with signal 9 end with the same bytes as one that was left alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from killed_training import killed, train
from tiny import make_tiny_model
from tiny_files import make_tiny_embedder

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
MAKERS = {"adapter": make_tiny_model, "embedder": make_tiny_embedder}
# At the very end, while a checkpoint is half written, and after one, in the second epoch.
KILLS = {
    "adapter": ("ending", "saving 4", "step 9"),  # of 12 steps, with a checkpoint after every second
    "embedder": ("ending", "saving 2", "step 5"),  # of 8
}
GOES_ON = {"adapter": list(range(8, 13)), "embedder": list(range(5, 9))}


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("what", ["adapter", "embedder"])
def test_a_killed_training_ends_with_the_same_bytes(what: str, tmp_path: Path) -> None:
    base = MAKERS[what](tmp_path / "base")
    whole, _ = train(what, base, tmp_path / "whole")
    for when in KILLS[what]:
        assert killed(what, base, tmp_path / "killed", when) == -9, when
    steps: list[int] = []
    resumed, cost = train(what, base, tmp_path / "killed", steps=steps)
    assert resumed == whole
    assert steps == GOES_ON[what]
    assert not list((tmp_path / "killed").glob("checkpoints-*"))
    assert cost.seconds > 0 and cost.peak_bytes > 50_000_000
