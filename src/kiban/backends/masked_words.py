"""An embedder's encoder reads documents by guessing words that are hidden from it, with transformers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from transformers import (
    AutoModelForMaskedLM,
    DataCollatorForLanguageModeling,
    PreTrainedModel,
    Trainer,
    TrainingArguments,
    set_seed,
)

from kiban.backends import training
from kiban.backends.checkpoints import Checkpoints, KeepCheckpoints
from kiban.backends.meter import Meter
from kiban.backends.sentence_transformers import load
from kiban.backends.sentence_transformers_trainer import average, save_beside, transformer_of
from kiban.backends.training import Log, Tell, Watch
from kiban.domain.learning import TrainingText, Weights
from kiban.errors import BadWeights, CutShort, TooFewExamples
from kiban.ports import Progress


@dataclass(frozen=True, slots=True)
class MaskedWordsTrainer:
    """Masked language modelling of a domain before the embedder is taught (arXiv 1810.04805, 2004.10964).

    Embedders come without the head that names words: a new one is learnt beside and thrown away. Word
    embeddings stay, and the result is averaged with the base, as in SentenceTransformersTrainer.
    Equal inputs on an equal machine give equal weights.
    """

    base: Path
    device: str = "cpu"  # "cpu" or "cuda"
    epochs: int = 1
    learning_rate: float = 2e-5
    batch: int = 16
    hidden: float = 0.3  # share of words; more than BERT's 15 % pays where there is little to read
    share: float = 0.5  # of what was learnt in the average with the base
    seed: int = 17
    checkpoint_every: int = 50
    log: Log | None = None
    spent: Tell | None = None

    def train(self, texts: Sequence[TrainingText], out: Path, progress: Progress) -> Weights:
        """Write a folder like the base's, with new weights, to `out`.

        Raises TooFewExamples, CutShort for a text longer than the model reads, and BadWeights for an embedder
        whose tokenizer has no mask.
        """
        if not texts:
            raise TooFewExamples("There is nothing to read.")
        set_seed(self.seed)
        embedder = load(self.base, self.device, torch.float32)
        rows = _rows(texts, embedder)
        model = AutoModelForMaskedLM.from_pretrained(self.base, local_files_only=True, dtype=torch.float32)
        encoder: PreTrainedModel = model.base_model
        encoder.get_input_embeddings().requires_grad_(False)
        checkpoints = Checkpoints(out, ([*texts], replace(self, log=None, spent=None)))
        meter = Meter(self.device, checkpoints.spent)
        trainer = Trainer(
            model=model,
            args=self._arguments(checkpoints.folder),
            train_dataset=Dataset.from_list(rows),
            data_collator=DataCollatorForLanguageModeling(
                embedder.tokenizer, mlm_probability=self.hidden, seed=self.seed
            ),
            callbacks=[
                KeepCheckpoints(checkpoints, meter),
                Watch(progress, self.log, "read documents", "read_loss"),
            ],
        )
        training.carry_through(trainer, checkpoints, meter, self.spent)
        read = transformer_of(load(self.base, self.device, torch.float32))
        read.load_state_dict(encoder.state_dict(), strict=False)  # what it lacks, a pooler, reads nothing
        average(transformer_of(embedder), read, self.share)
        save_beside(read, self.base, out)
        checkpoints.remove()
        return Weights.of(out)

    def _arguments(self, folder: Path) -> TrainingArguments:
        return TrainingArguments(
            num_train_epochs=self.epochs,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=max(1, self.batch // 4),
            learning_rate=self.learning_rate,
            **training.arguments(
                folder, device=self.device, seed=self.seed, checkpoint_every=self.checkpoint_every
            ),
        )


def _rows(texts: Sequence[TrainingText], embedder: SentenceTransformer) -> list[dict[str, Any]]:
    tokenizer = embedder.tokenizer
    if tokenizer.mask_token is None:
        raise BadWeights("The embedder's tokenizer has no token that hides a word.")
    prompt = embedder.prompts.get("document") or ""
    room = embedder.get_max_seq_length() or sys.maxsize
    rows = tokenizer([prompt + one.text for one in texts], return_special_tokens_mask=True)
    for one, ids in zip(texts, rows["input_ids"], strict=True):
        if len(ids) > room:
            sources = ", ".join(document.uri for document in one.lineage)
            raise CutShort(f"A text of {sources}: {len(ids)} tokens of at most {room}.")
    names = ("input_ids", "attention_mask", "special_tokens_mask")
    return [{name: rows[name][at] for name in names} for at in range(len(texts))]
