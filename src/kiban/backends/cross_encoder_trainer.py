"""Questions, the passages that answer them and those that only look alike become a reranker, with
sentence-transformers."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import CrossEncoder, CrossEncoderTrainer
from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss
from sentence_transformers.cross_encoder.training_args import CrossEncoderTrainingArguments
from transformers import (
    set_seed,
)

from kiban.backends import cross_encoder, training
from kiban.backends.checkpoints import Checkpoints, KeepCheckpoints
from kiban.backends.meter import Meter
from kiban.backends.sentence_transformers import has_bfloat16
from kiban.backends.training import Log, Tell, Watch
from kiban.domain.learning import EveryonesPairs, TrainingPair, Weights
from kiban.errors import BadWeights, CutShort, NothingToLearn, TooFewExamples
from kiban.ports import Progress

CUT_SHORT_AT_MOST = 0.02  # share of rows


@dataclass(frozen=True, slots=True)
class RerankerTrainer:
    """Teaches an encoder to read a question and a passage together (Nogueira & Cho, arXiv 1901.04085).

    The base is an embedder's folder, whose layers get a new head, or a cross-encoder's, which goes on from
    where it is. Every passage is told apart as answering or not, by binary cross entropy against the
    retriever's own look-alikes, and not ranked within its list: search adds the score to another one, and so
    it has to mean the same for every question. Word embeddings, most of the weights, stay.
    Equal inputs on an equal machine give equal weights, whether interrupted or not.
    """

    base: Path
    device: str = "cpu"  # "cpu" or "cuda"
    layers: int = cross_encoder.EVERY_LAYER  # of an embedder, from the lowest; six of twelve learnt nothing
    epochs: int = 1
    learning_rate: float = 1e-4
    batch: int = 32  # questions with a passage, per step
    at_once: int = 8  # of these; all of them, at full length, take nine gigabytes
    negatives: int = 4  # look-alikes of a question, at most
    longest: int = cross_encoder.LONGEST  # tokens of a question and a passage
    seed: int = 17
    checkpoint_every: int = 50  # steps; what a kill loses at most
    log: Log | None = None
    spent: Tell | None = None

    def train(self, pairs: EveryonesPairs, out: Path, progress: Progress) -> Weights:
        """Write a folder that a CrossEncoder can be loaded from to `out`, which may hold a checkpoint.

        Raises MixedAudience, TooFewExamples, NothingToLearn for pairs on one and the same passage, CutShort
        if too many rows are longer than what is read, and BadWeights for another base.
        """
        rows = self._rows(EveryonesPairs(pairs))  # whatever the caller gave
        set_seed(self.seed)
        model = cross_encoder.load(self.base, self.device, torch.float32, layers=self.layers)
        model.max_seq_length = self.longest
        self._require_room(model, rows)
        _freeze_words(model)
        checkpoints = Checkpoints(out, (rows, replace(self, log=None, spent=None)))
        meter = Meter(self.device, checkpoints.spent)
        trainer = _Trainer(
            model=model,
            args=self._arguments(checkpoints.folder),
            train_dataset=Dataset.from_list(rows),
            loss=BinaryCrossEntropyLoss(model, pos_weight=_weight_of_answers(rows)),
            callbacks=[
                KeepCheckpoints(checkpoints, meter),
                Watch(progress, self.log, "train reranker", "reranker_loss"),
            ],
        )
        training.carry_through(trainer, checkpoints, meter, self.spent)
        _save(model, checkpoints.folder / "last", out)
        checkpoints.remove()
        return Weights.of(out)

    def _rows(self, pairs: Sequence[TrainingPair]) -> list[dict[str, Any]]:
        """Return a row per question and passage; a pair without look-alikes borrows another's passage."""
        if len(pairs) < 2:
            raise TooFewExamples(f"{len(pairs)} pairs; a reranker compares passages of several questions.")
        rows = []
        for pair, other in zip(pairs, [*pairs[1:], pairs[0]], strict=True):
            wrong = [text for text in pair.negatives or (other.passage,) if text != pair.passage]
            rows += [{"question": pair.question, "passage": pair.passage, "label": 1.0}]
            rows += [
                {"question": pair.question, "passage": text, "label": 0.0} for text in wrong[: self.negatives]
            ]
        if all(row["label"] for row in rows):
            raise NothingToLearn(f"None of {len(rows)} rows holds a passage that does not answer.")
        return rows

    def _require_room(self, model: CrossEncoder, rows: Sequence[Mapping[str, Any]]) -> None:
        read = model.tokenizer(
            [row["question"] for row in rows], [row["passage"] for row in rows], truncation=False
        )
        cut = sum(len(ids) > self.longest for ids in read["input_ids"])
        if cut > CUT_SHORT_AT_MOST * len(rows):
            raise CutShort(
                f"{cut} of {len(rows)} rows exceed {self.longest} tokens.",
                mend="cut documents into shorter chunks",
            )

    def _arguments(self, checkpoints: Path) -> CrossEncoderTrainingArguments:
        parts = max(1, self.batch // self.at_once)
        return CrossEncoderTrainingArguments(
            num_train_epochs=self.epochs,
            per_device_train_batch_size=self.batch // parts,
            gradient_accumulation_steps=parts,
            learning_rate=self.learning_rate,
            bf16=has_bfloat16(self.device),
            **training.arguments(
                checkpoints, device=self.device, seed=self.seed, checkpoint_every=self.checkpoint_every
            ),
        )


class _Trainer(CrossEncoderTrainer):
    """The trainer without its model card, which would show examples: the house writes its own."""

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        pass


def _weight_of_answers(rows: Sequence[Mapping[str, Any]]) -> torch.Tensor:
    """Return how much a passage that answers counts, so that both kinds count alike in all."""
    answers = sum(row["label"] for row in rows)
    return torch.tensor((len(rows) - answers) / answers)


def _freeze_words(model: CrossEncoder) -> None:
    transformer = model.transformers_model
    if transformer is None:
        raise BadWeights("The base holds no transformer.")
    transformer.get_input_embeddings().requires_grad_(False)


def _save(model: CrossEncoder, staging: Path, out: Path) -> None:
    """Write the finished folder beside the checkpoints, then move its files to `out`."""
    model.save_pretrained(str(staging), create_model_card=False)
    for file in staging.iterdir():
        file.replace(out / file.name)
    shutil.rmtree(staging)
