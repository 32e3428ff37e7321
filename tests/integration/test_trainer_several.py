"""A training that several processes share ends where it would have ended alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from killed_training import curriculum
from safetensors.torch import load_file
from tiny import make_tiny_model

from kiban.backends import together
from kiban.backends.several import Several
from kiban.backends.trl import TrlTrainer
from kiban.domain.learning import Cost, Weights
from kiban.errors import CutShort, SettingsError, TrainingStopped

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("base"))


def test_two_processes_lose_as_much_as_one_and_learn_the_same(base: Path, tmp_path: Path) -> None:
    losses: dict[str, list[float]] = {"one": [], "two": []}
    steps: list[int] = []
    costs: list[Cost] = []
    trainer = TrlTrainer(base, "base", rank=8, epochs=2, batch=4, learning_rate=1e-2)

    def by(name: str) -> TrlTrainer:
        kept = losses[name]
        return replace(trainer, log=lambda _, told: kept.extend(v for k, v in told.items() if k == "loss"))

    one = by("one").train(curriculum(), tmp_path / "one", lambda *_: None)
    shared = Several(replace(by("two"), spent=costs.append), 2)
    two = shared.train(curriculum(), tmp_path / "two", lambda done, total, what: steps.append(done))
    assert len(losses["one"]) == 6 and losses["two"] == pytest.approx(losses["one"], abs=1e-3)
    alone, together = (load_file(of.path / "adapter_model.safetensors") for of in (one, two))
    assert alone.keys() == together.keys()
    assert all(torch.allclose(alone[name], together[name], atol=5e-3) for name in alone)
    assert any(alone[name].abs().max() > 0.05 for name in alone)  # far from where it began
    assert steps == list(range(7)) and costs[0].seconds > 0
    assert two == Weights.of(tmp_path / "two")  # nothing else is left in the folder


class Script(Several):
    """Starts something else in place of the processes."""

    code = "raise SystemExit(3)"

    def _start(self, out: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", self.code, str(out)])


class Refuses(Script):
    code = (
        "import json, sys; error = json.dumps(['error', 'CutShort', 'Row 3', 'show fewer passages']); "
        "open(sys.argv[1] + '/told.jsonl', 'w').write(error + '\\n'); sys.exit(1)"
    )


def test_a_process_that_dies_without_a_word_is_told(base: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingStopped, match="exit code 3"):
        Script(TrlTrainer(base, "base"), 2).train(curriculum(), tmp_path, lambda *_: None)
    assert list(tmp_path.iterdir()) == []


def test_what_a_process_refuses_is_what_the_caller_hears(base: Path, tmp_path: Path) -> None:
    with pytest.raises(CutShort, match="Row 3 Mend: show fewer passages"):
        Refuses(TrlTrainer(base, "base"), 2).train(curriculum(), tmp_path, lambda *_: None)


def test_a_batch_that_does_not_come_out_even_is_refused() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(together, "processes", lambda: 2)
        assert together.share(4) == 2
        with pytest.raises(SettingsError, match="A batch of 3 is no multiple of 2 processes"):
            together.share(3)


def test_four_bits_need_a_gpu(base: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="four_bits needs a GPU"):
        TrlTrainer(base, "base", rank=8, four_bits=True).train(curriculum(), tmp_path, lambda *_: None)


@pytest.mark.skipif(
    not os.environ.get("KIBAN_TEST_RAY_TRAINING"),
    reason="Ray Train starts a dozen processes: only where KIBAN_TEST_RAY_TRAINING is set",
)
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_two_workers_of_a_ray_cluster_lose_as_much_as_one_process(base: Path, tmp_path: Path) -> None:
    from kiban.backends.ray_training import OnRay

    losses: list[float] = []
    trainer = TrlTrainer(base, "base", rank=8, batch=4, learning_rate=1e-2)

    def log(step: int, told: Mapping[str, float]) -> None:
        losses.extend(value for name, value in told.items() if name == "loss")

    one = replace(trainer, log=log).train(curriculum(), tmp_path / "one", lambda *_: None)
    two = OnRay(replace(trainer, log=log), 2, "local").train(curriculum(), tmp_path / "two", lambda *_: None)
    assert len(losses) == 6 and losses[3:] == pytest.approx(losses[:3], abs=1e-3)
    alone, together = (load_file(of.path / "adapter_model.safetensors") for of in (one, two))
    assert all(torch.allclose(alone[name], together[name], atol=5e-3) for name in alone)
