"""A language model reads documents as they stand, with TRL: continued pre-training of an adapter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from datasets import Dataset, disable_progress_bars
from transformers import PreTrainedTokenizerBase, set_seed
from transformers.utils.logging import disable_progress_bar
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from kiban.backends import together, training
from kiban.backends.checkpoints import Checkpoints, KeepCheckpoints
from kiban.backends.meter import Meter
from kiban.backends.training import Log, Tell
from kiban.backends.trl import Reporter, keep_files, load_base, lora
from kiban.domain.learning import TrainingText, Weights
from kiban.errors import CutShort, TooFewExamples
from kiban.ports import Progress


@dataclass(frozen=True, slots=True)
class ReadingTrainer:
    """Trains LoRA to continue every text from each of its tokens on (Gururangan et al., arXiv 2004.10964).

    The adapter it writes is one to go on from, not one to serve: it has not learnt to answer.
    Equal inputs on an equal machine give equal weights.
    """

    base: Path
    base_name: str
    rank: int = 16
    epochs: int = 1
    device: str = "cpu"
    seed: int = 17
    learning_rate: float = 1e-4
    batch: int = 4
    max_length: int = 2048  # tokens
    checkpoint_every: int = 20
    log: Log | None = None
    spent: Tell | None = None

    def train(self, texts: Sequence[TrainingText], out: Path, progress: Progress) -> Weights:
        """Write the adapter to `out`. Raises TooFewExamples, CutShort, BadWeights."""
        if not texts:
            raise TooFewExamples("There is nothing to read.")
        set_seed(self.seed)
        disable_progress_bars()
        disable_progress_bar()  # type: ignore[no-untyped-call]
        model, tokenizer = load_base(self.base, self.device)
        length = _longest(texts, tokenizer, self.max_length)
        checkpoints = Checkpoints(out, ([*texts], replace(self, log=None, spent=None)))
        meter = Meter(self.device, checkpoints.spent)
        trainer = SFTTrainer(
            model=model,
            args=self._arguments(checkpoints.folder, length),
            train_dataset=Dataset.from_list([{"text": one.text} for one in texts]),
            processing_class=tokenizer,
            peft_config=lora(self.rank),
            callbacks=[KeepCheckpoints(checkpoints, meter), Reporter(progress, self.log)],
        )
        training.carry_through(trainer, checkpoints, meter, self.spent)
        return keep_files(trainer, checkpoints, out, self.base_name)

    def _arguments(self, checkpoints: Path, max_length: int) -> SFTConfig:
        on_cpu, batch = self.device == "cpu", together.share(self.batch)
        return SFTConfig(
            dataset_text_field="text",
            max_length=max_length,
            num_train_epochs=self.epochs,
            per_device_train_batch_size=1 if on_cpu else batch,
            gradient_accumulation_steps=batch if on_cpu else 1,
            ddp_backend="gloo" if on_cpu and together.processes() > 1 else None,
            learning_rate=self.learning_rate,
            lr_scheduler_type="cosine",
            activation_checkpointing=False,
            bf16=False,
            **training.arguments(
                checkpoints, device=self.device, seed=self.seed, checkpoint_every=self.checkpoint_every
            ),
        )


def _longest(texts: Sequence[TrainingText], tokenizer: PreTrainedTokenizerBase, at_most: int) -> int:
    """Return the length of the longest text in tokens, with the one that ends it. Raises CutShort."""
    lengths = [1 + len(ids) for ids in tokenizer([one.text for one in texts])["input_ids"]]
    for one, length in zip(texts, lengths, strict=True):
        if length > at_most:
            sources = ", ".join(document.uri for document in one.lineage)
            raise CutShort(f"A text of {sources}: {length} tokens of at most {at_most}.")
    return max(lengths)
