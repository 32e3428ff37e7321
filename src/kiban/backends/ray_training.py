"""A training shared by the machines of a Ray cluster (Ray Train). Its folder lies at one path on all."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.train import ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from kiban.backends.one_of_several import take_part
from kiban.backends.several import SHARDED, handed_over
from kiban.domain.learning import Weights
from kiban.errors import PartUnavailable, TrainingStopped
from kiban.ports import Progress


@dataclass(frozen=True, slots=True)
class OnRay:
    """Wraps a trainer of this package: the same `train`, by so many workers of a cluster, a GPU each."""

    trainer: Any
    workers: int
    address: str = "auto"
    sharded: bool = False  # as in `Several`

    def train(self, material: Any, out: Path, progress: Progress) -> Weights:
        """Raises what the trainer raises, TrainingStopped, and PartUnavailable without a cluster.

        Progress is told at the end: what the first worker says meanwhile lies in the folder.
        """
        with handed_over(self.trainer, material, out) as told, _connected(self.address):
            try:
                self._shared(out).fit()
            except Exception as error:  # whatever a worker raised comes wrapped
                told.pass_on(self.trainer, progress)
                raise told.error or TrainingStopped(str(error)) from error
            told.pass_on(self.trainer, progress)
        return Weights.of(out)

    def _shared(self, out: Path) -> TorchTrainer:
        on_gpu = self.trainer.device != "cpu"
        return TorchTrainer(
            _take_part,
            train_loop_config={"out": str(out.resolve()), "sharded": self.sharded},
            scaling_config=ScalingConfig(num_workers=self.workers, use_gpu=on_gpu),
            torch_config=TorchConfig(backend="nccl" if on_gpu else "gloo"),
        )


@contextmanager
def _connected(address: str) -> Iterator[None]:
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise PartUnavailable(f"the Ray cluster at {address}: {error}", mend="ray start --head") from error
    try:
        yield
    finally:
        ray.shutdown()


def _take_part(config: dict[str, Any]) -> None:
    os.environ.update(SHARDED if config["sharded"] else {})
    take_part(Path(config["out"]))
