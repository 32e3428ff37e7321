"""An embedder in the sentence-transformers format."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from transformers.utils import logging as transformers_logging

from kiban.errors import BadWeights
from kiban.ports import Vector

SLAB = 1024  # texts that are sorted by length together, and that other callers wait for


class SentenceTransformersEmbedder:
    """Unit vectors (float32) of texts, under the prompts that the model's own folder names.

    What stands before a query or a passage ("query: ", "passage: " for the e5 family) is read from
    config_sentence_transformers.json, so any model that says how it wants to be asked works unchanged.
    Computes in bfloat16 where the machine has instructions for it: 2 to 3 times as fast, cosine to float32
    above 0.9999. May be called from several threads; one computes at a time.
    """

    dimensions: int

    def __init__(self, path: Path, device: str | None = None, batch_size: int = 16) -> None:
        """Load the folder onto `device` ("cpu", "cuda", None: the best there is). Raises BadWeights."""
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._model = load(path, device, torch.bfloat16 if has_bfloat16(device) else torch.float32)
        self._batch_size = batch_size if device == "cpu" else 16 * batch_size
        self._lock = threading.Lock()  # a tokenizer keeps its padding between calls
        self.dimensions = int(self._model.get_embedding_dimension() or 0)

    def passages(self, texts: Sequence[str]) -> Sequence[Vector]:
        """Return one unit vector per text. Feed it many at once: it sorts them by length."""
        slabs = [
            self._encode(list(texts[start : start + SLAB]), "document")
            for start in range(0, len(texts), SLAB)
        ]
        return cast("list[Vector]", [vector for slab in slabs for vector in slab])

    def query(self, text: str) -> Vector:
        """Return the unit vector of a question."""
        return cast("Vector", self._encode([text], "query")[0])

    def tokens(self, texts: Sequence[str]) -> int:
        """Return how many tokens of these texts are read: what is longer than the model allows is cut."""
        with self._lock:
            longest = int(self._model.max_seq_length or 0)
            read = self._model.tokenizer(list(texts), truncation=bool(longest), max_length=longest or None)
        return sum(map(len, read["input_ids"]))

    def _encode(self, texts: list[str], task: str) -> NDArray[np.float32]:
        encode = self._model.encode_query if task == "query" else self._model.encode_document
        with self._lock:
            found = encode(
                texts, batch_size=self._batch_size, convert_to_tensor=True, show_progress_bar=False
            )
        # Again, because a length rounded to bfloat16 is off by up to 0.4 %.
        unit = torch.nn.functional.normalize(found.float(), dim=1)
        return np.asarray(unit.cpu().numpy(), dtype=np.float32)


def load(path: Path, device: str, dtype: torch.dtype) -> SentenceTransformer:
    """Return the model in a folder, on `device`, never from anywhere else. Raises BadWeights."""
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        return SentenceTransformer(
            str(path), device=device, local_files_only=True, model_kwargs={"dtype": dtype}
        )
    except (OSError, ValueError, KeyError) as error:
        raise BadWeights(f"{path} is not a sentence-transformers model: {error}") from error


def has_bfloat16(device: str) -> bool:
    """Say whether `device` multiplies bfloat16 matrices faster than float32 ones."""
    if device != "cpu":
        return True
    can = torch.cpu.get_capabilities()
    return bool(can.get("avx512_bf16") or can.get("amx_bf16"))
