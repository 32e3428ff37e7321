"""A training shared by several processes: those of one machine (torchrun), or of many (Ray Train).

The trainers do not know. Each step reads the same examples as alone and moves the weights the same way, but
for the order in which floating point numbers are added: a batch is dealt out, its loss averaged over tokens.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kiban import errors
from kiban.backends.one_of_several import TOLD, WORK
from kiban.domain.learning import Cost, Weights
from kiban.errors import KibanError, TrainingStopped
from kiban.ports import Progress

POLL = 0.2  # seconds between looks at what the first process tells
# What `accelerate launch --use_fsdp` sets: weights, gradients and optimiser in slices, block by block.
SHARDED = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
}

Run = Callable[[Path], subprocess.Popen[bytes]]


@dataclass(frozen=True, slots=True)
class Several:
    """Wraps a trainer of this package: the same `train`, by so many processes of this machine.

    `sharded`: on GPUs, for a base that one of them cannot hold (FSDP, arXiv 2304.11277). What a process costs
    besides the first is in nobody's account, but for the energy of the device.
    """

    trainer: Any
    processes: int
    sharded: bool = False

    def train(self, material: Any, out: Path, progress: Progress) -> Weights:
        """Raises what the trainer raises, and TrainingStopped when a process ends without a word."""
        with handed_over(self.trainer, material, out) as told:
            process = self._start(out)
            try:
                while process.poll() is None:
                    told.pass_on(self.trainer, progress)
                    time.sleep(POLL)
            finally:
                if process.poll() is None:
                    process.terminate()  # torchrun ends the others
                    process.wait()
            told.pass_on(self.trainer, progress)
            if process.returncode:
                raise told.error or TrainingStopped(f"exit code {process.returncode}", mend=f"see {out}")
        return Weights.of(out)

    def _start(self, out: Path) -> subprocess.Popen[bytes]:
        words = [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--max-restarts", "0",
            "--nproc-per-node", str(self.processes), "-m", "kiban.backends.one_of_several", str(out),
        ]  # fmt: skip
        return subprocess.Popen(words, env={**os.environ, **(SHARDED if self.sharded else {})})


class Told:
    """What the first process has told so far."""

    def __init__(self, path: Path) -> None:
        self.error: KibanError | None = None
        self._path = path
        self._read = 0

    def pass_on(self, trainer: Any, progress: Progress) -> None:
        """Call what the trainer's caller wants called, for what is new."""
        for kind, *what in self._new():
            match kind:
                case "progress":
                    progress(*what)
                case "log" if trainer.log:
                    trainer.log(*what)
                case "spent" if trainer.spent:
                    trainer.spent(Cost(**what[0]))
                case "error":
                    self.error = vars(errors)[what[0]](what[1], mend=what[2])

    def _new(self) -> Iterator[list[Any]]:
        if not self._path.exists():
            return
        with self._path.open("rb") as lines:
            lines.seek(self._read)
            for line in lines:
                if not line.endswith(b"\n"):
                    return  # half of it; the rest comes
                self._read += len(line)
                yield json.loads(line)


@contextmanager
def handed_over(trainer: Any, material: Any, out: Path) -> Iterator[Told]:
    """Lay down what the processes need in `out`, and take it away again: a folder names its weights."""
    out.mkdir(parents=True, exist_ok=True)
    (out / TOLD).unlink(missing_ok=True)
    (out / WORK).write_bytes(pickle.dumps((replace(trainer, log=None, spent=None), material)))
    try:
        yield Told(out / TOLD)
    finally:
        for name in (WORK, TOLD):
            (out / name).unlink(missing_ok=True)
