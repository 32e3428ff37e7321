"""A reranker in the sentence-transformers CrossEncoder format."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from sentence_transformers import CrossEncoder
from transformers import AutoConfig
from transformers.utils import logging as transformers_logging

from kiban.backends.sentence_transformers import has_bfloat16
from kiban.errors import BadWeights

LONGEST = 512  # tokens of a question and a passage
STEPS = (64, 32, 16, 8, 4)  # passages a budget may be: far apart, so that two starts agree
TRIALS = 3
EVERY_LAYER = sys.maxsize


class CrossEncoderReranker:
    """Scores (0..1) of passages, each read with the question (Nogueira & Cho, arXiv 1901.04085).

    Computes in bfloat16 where the machine has instructions for it. May be called from several threads; one
    computes at a time.
    """

    def __init__(self, path: Path, device: str | None = None, batch_size: int = 16) -> None:
        """Load the folder onto `device` ("cpu", "cuda", None: the best there is). Raises BadWeights."""
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._model = load(path, device, torch.bfloat16 if has_bfloat16(device) else torch.float32)
        self._batch_size = batch_size
        self._lock = threading.Lock()

    def scores(self, question: str, passages: Sequence[str]) -> Sequence[float]:
        """Return one score per passage. Passages of like length are read together, which saves padding."""
        if not passages:
            return []
        order = sorted(range(len(passages)), key=lambda number: len(passages[number]))
        with self._lock:
            found = self._model.predict(
                [(question, passages[number]) for number in order],
                batch_size=self._batch_size,
                activation_fn=torch.nn.Sigmoid(),
                convert_to_tensor=True,
                show_progress_bar=False,
            )
        scores = [0.0] * len(passages)
        for number, score in zip(order, found.float().cpu().tolist(), strict=True):
            scores[number] = float(score)
        return scores

    def passages_within(self, milliseconds: float, passage: str) -> int:
        """Return how many passages as long as `passage` can be read in this time here: one of STEPS, or 0.

        Asked once, when the model is loaded: the fastest of a few trials, since load only ever slows.
        """
        trial = STEPS[-1]
        taken = []
        for _ in range(TRIALS + 1):  # the first warms up
            began = time.perf_counter()
            self.scores(passage[:40], [passage] * trial)
            taken.append((time.perf_counter() - began) * 1000 / trial)
        affordable = milliseconds / min(taken[1:])
        return next((step for step in STEPS if step <= affordable), 0)


def load(path: Path, device: str, dtype: torch.dtype, *, layers: int | None = None) -> CrossEncoder:
    """Return the model in a folder, on `device`, never from anywhere else. Raises BadWeights.

    An encoder without a head, an embedder's, is refused, unless `layers` says how many of its layers, the
    lowest, get a head that knows nothing yet.
    """
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        config = AutoConfig.from_pretrained(path, local_files_only=True)
        headless = all(name.endswith("Model") for name in config.architectures or ())
        if headless and layers is None:
            raise BadWeights(f"{path} is an encoder without a head that scores.")
        kept = {"num_hidden_layers": min(layers, config.num_hidden_layers)} if headless and layers else None
        model: CrossEncoder = CrossEncoder(
            str(path),
            device=device,
            local_files_only=True,
            max_length=LONGEST,
            model_kwargs={"dtype": dtype},
            config_kwargs=kept,
        )
    except (OSError, ValueError, KeyError) as error:
        raise BadWeights(f"{path} is not a cross-encoder: {error}") from error
    if model.num_labels != 1:
        raise BadWeights(f"{path} gives {model.num_labels} scores a pair, not one.")
    return model
