"""Checkpoints of transformers' Trainer that a kill at any instant cannot spoil."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from kiban.backends import together
from kiban.backends.meter import Meter
from kiban.domain.learning import Cost

COMPLETE = "cost.json"  # written last, by renaming: a checkpoint without it is half


class Checkpoints:
    """A folder of checkpoints; only the newest whole one is kept.

    What the Trainer writes lies here under its own names: weights, optimiser, schedule, the states of all
    random generators, and the step from which the samplers go on. Beside it lies what it cost so far.
    """

    def __init__(self, out: Path, recipe: object) -> None:
        """Find those of a recipe in `out`; half ones, and those of other recipes, are removed."""
        digest = hashlib.sha256(repr(recipe).encode()).hexdigest()
        self.folder = out / f"checkpoints-{digest[:12]}"
        if together.first():
            self._clear(out)
        together.wait()

    def _clear(self, out: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        half = [path for path in self.folder.iterdir() if path.is_dir() and not (path / COMPLETE).exists()]
        others = [path for path in out.glob("checkpoints-*") if path != self.folder]
        for path in (*half, *others):
            shutil.rmtree(path)

    @property
    def newest(self) -> Path | None:
        """Return the checkpoint to go on from; None to begin."""
        found = [path for path in self.folder.glob("checkpoint-*") if (path / COMPLETE).exists()]
        return max(found, key=_step, default=None)

    @property
    def to_resume(self) -> str | bool:
        """Return what Trainer.train wants to be told to go on from."""
        return str(self.newest) if self.newest else False

    @property
    def spent(self) -> Cost:
        """Return what the training had cost up to the newest checkpoint.

        What was computed after it and lost to a kill is in nobody's account.
        """
        newest = self.newest
        return Cost(**json.loads((newest / COMPLETE).read_text())) if newest else Cost()

    def complete(self, step: int, cost: Cost) -> None:
        """Declare the checkpoint of a step whole, and drop the others."""
        together.wait()  # each process has written the state of its own dice
        if together.first():
            self._complete(step, cost)
        together.wait()

    def _complete(self, step: int, cost: Cost) -> None:
        path = self.folder / f"checkpoint-{step}"
        for file in path.rglob("*"):
            _sync(file)
        half = path / f"{COMPLETE}.part"
        half.write_text(json.dumps(asdict(cost)))
        _sync(half)
        half.rename(path / COMPLETE)
        _sync(path)
        for older in self.folder.glob("checkpoint-*"):
            if older != path:
                _discard(older)

    def remove(self) -> None:
        """Drop everything, in an order that never leaves a checkpoint that only looks whole."""
        together.wait()
        if together.first():
            for path in self.folder.glob("checkpoint-*"):
                _discard(path)
            shutil.rmtree(self.folder)
        together.wait()  # or the others would name weights by what is just going away


class KeepCheckpoints(TrainerCallback):
    """Completes what the Trainer saves."""

    def __init__(self, checkpoints: Checkpoints, meter: Meter) -> None:
        self.checkpoints = checkpoints
        self.meter = meter

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.meter.cost()  # counters of energy wrap

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.checkpoints.complete(state.global_step, self.meter.cost())


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _discard(checkpoint: Path) -> None:
    (checkpoint / COMPLETE).unlink(missing_ok=True)
    shutil.rmtree(checkpoint)


def _sync(path: Path) -> None:
    """Have the disk hold what was written, so that a power cut spoils no more than a kill does."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
