"""Answers that people confirmed or corrected move an adapter, with TRL's KTO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from datasets import Dataset, disable_progress_bars
from transformers import PreTrainedTokenizerBase, set_seed
from transformers.utils.logging import disable_progress_bar
from trl.trainer.kto_config import KTOConfig
from trl.trainer.kto_trainer import KTOTrainer

from kiban.backends import training
from kiban.backends.checkpoints import Checkpoints, KeepCheckpoints
from kiban.backends.meter import Meter
from kiban.backends.training import Log, Tell
from kiban.backends.trl import Reporter, go_on_from, keep_files, load_base
from kiban.domain.learning import Preference, Weights
from kiban.errors import CutShort, TooFewExamples
from kiban.ports import Progress

FEWEST = 2  # rows: KTO estimates how far the model has moved from others' answers in the batch


@dataclass(frozen=True, slots=True)
class KtoTrainer:
    """Goes on from an adapter that was taught by examples (arXiv 2402.01306).

    A desirable answer becomes likelier and an undesirable one less likely than under that adapter, which
    stays beside as the reference. Equal inputs on an equal machine give equal weights.
    """

    base: Path
    base_name: str
    adapter: Path  # where to go on from
    device: str = "cpu"
    seed: int = 17
    epochs: int = 1
    learning_rate: float = 5e-5
    beta: float = 0.1  # how dear it is to move away from the adapter
    batch: int = 4
    max_length: int = 2048  # tokens
    checkpoint_every: int = 10
    log: Log | None = None
    spent: Tell | None = None

    def train(self, preferences: Sequence[Preference], out: Path, progress: Progress) -> Weights:
        """Write the moved adapter to `out`. Raises TooFewExamples, CutShort, BadWeights."""
        if len(preferences) < FEWEST:
            raise TooFewExamples(f"{len(preferences)} preferences.")
        set_seed(self.seed)
        disable_progress_bars()
        disable_progress_bar()  # type: ignore[no-untyped-call]
        base, tokenizer = load_base(self.base, self.device)
        _require_room(preferences, tokenizer, self.max_length)
        checkpoints = Checkpoints(out, ([*preferences], replace(self, log=None, spent=None)))
        meter = Meter(self.device, checkpoints.spent)
        trainer = KTOTrainer(
            model=go_on_from(base, self.adapter, self.base),
            args=self._arguments(checkpoints.folder, preferences),
            train_dataset=Dataset.from_list([_row(one) for one in preferences]),
            processing_class=tokenizer,
            callbacks=[KeepCheckpoints(checkpoints, meter), Reporter(progress, self.log)],
        )
        training.carry_through(trainer, checkpoints, meter, self.spent)
        return keep_files(trainer, checkpoints, out, self.base_name)

    def _arguments(self, checkpoints: Path, preferences: Sequence[Preference]) -> KTOConfig:
        wanted = sum(one.desirable for one in preferences)
        unwanted = len(preferences) - wanted
        return KTOConfig(
            max_length=self.max_length,
            beta=self.beta,
            # The two sides weigh alike, however many rows each has (section 4.2 of the paper).
            desirable_weight=max(1.0, unwanted / wanted) if wanted else 1.0,
            undesirable_weight=max(1.0, wanted / unwanted) if unwanted else 1.0,
            num_train_epochs=self.epochs,
            per_device_train_batch_size=min(self.batch, len(preferences)),
            learning_rate=self.learning_rate,
            lr_scheduler_type="cosine",
            gradient_checkpointing=False,
            bf16=False,
            **training.arguments(
                checkpoints, device=self.device, seed=self.seed, checkpoint_every=self.checkpoint_every
            ),
        )


def _row(one: Preference) -> dict[str, Any]:
    return {
        "prompt": [{"role": turn.role, "content": turn.text} for turn in one.prompt],
        "completion": [{"role": "assistant", "content": one.answer}],
        "label": one.desirable,
    }


def _require_room(
    preferences: Sequence[Preference], tokenizer: PreTrainedTokenizerBase, at_most: int
) -> None:
    for number, one in enumerate(preferences):
        row = _row(one)
        length = len(tokenizer.apply_chat_template(row["prompt"] + row["completion"], return_dict=False))
        if length > at_most:
            sources = ", ".join(document.uri for document in one.lineage)
            raise CutShort(f"Preference {number}, made from {sources}: {length} tokens of at most {at_most}.")
