"""What all trainings by transformers' Trainer have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from kiban.backends.checkpoints import Checkpoints
from kiban.backends.meter import Meter
from kiban.domain.learning import Cost
from kiban.ports import Progress

Log = Callable[[int, Mapping[str, float]], None]  # step, measures
Tell = Callable[[Cost], None]


def arguments(folder: Path, *, device: str, seed: int, checkpoint_every: int) -> dict[str, Any]:
    """Return the arguments that no trainer chooses for itself: one seed for all dice, checkpoints in
    `folder`, and nobody told but the caller."""
    return {
        "output_dir": str(folder),
        "use_cpu": device == "cpu",
        "dataloader_pin_memory": device != "cpu",
        "seed": seed,
        "data_seed": seed,
        "warmup_steps": 0.1,  # of all steps
        "save_strategy": "steps",
        "save_steps": checkpoint_every,
        "logging_steps": 1,
        "report_to": "none",
        "disable_tqdm": True,
    }


def carry_through(trainer: Trainer, checkpoints: Checkpoints, meter: Meter, spent: Tell | None) -> None:
    """Train to the end, from the newest checkpoint on, and tell what it cost."""
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=checkpoints.to_resume)
    if spent:
        spent(meter.cost())


class Watch(TrainerCallback):
    """Tells the caller about every step: `what` is being done, and its loss, as a measure named `loss`."""

    def __init__(self, progress: Progress, log: Log | None, what: str, loss: str) -> None:
        self.progress = progress
        self.log = log
        self.what = what
        self.loss = loss

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.progress(state.global_step, state.max_steps, self.what)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if self.log and logs and "loss" in logs:
            self.log(state.global_step, {self.loss: float(logs["loss"])})
