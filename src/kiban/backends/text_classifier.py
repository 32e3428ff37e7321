"""A sequence classifier (Transformers), which tells with what probability a text deserves a label."""

from __future__ import annotations

import threading
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from kiban.errors import BadWeights

LONGEST = 512  # tokens


class TextClassifier:
    """One text at a time, on the CPU or a GPU. May be called from several threads; one computes at a time."""

    def __init__(self, path: Path, device: str) -> None:
        """Load a folder, and never anything from elsewhere. Raises BadWeights."""
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
            self._model = AutoModelForSequenceClassification.from_pretrained(path, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise BadWeights(f"{path} is not a classifier of texts: {error}") from error
        self._model = self._model.to(device).eval()
        self._several = self._model.config.problem_type == "multi_label_classification"
        self._lock = threading.Lock()

    @property
    def labels(self) -> frozenset[str]:
        return frozenset(self._model.config.id2label.values())

    def probabilities(self, text: str) -> dict[str, float]:
        """Return 0..1 by label; they sum up to 1 unless the model was made to give several at once."""
        with self._lock, torch.inference_mode():
            read = self._tokenizer(text, truncation=True, max_length=LONGEST, return_tensors="pt")
            scores = self._model(**read.to(self._model.device)).logits[0].float()
        shares = scores.sigmoid() if self._several else scores.softmax(-1)
        return {self._model.config.id2label[at]: share for at, share in enumerate(shares.tolist())}
