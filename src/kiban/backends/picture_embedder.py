"""A picture embedder in the sentence-transformers format (CLIP and its kin)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sentence_transformers import SentenceTransformer

from kiban.backends.sentence_transformers import load
from kiban.domain.document import Picture
from kiban.domain.learning import Weights
from kiban.errors import BadWeights
from kiban.ports import Vector


class ClipEmbedder:
    """Unit vectors (float32) of pictures and of questions in one space (Radford et al., arXiv 2103.00020).

    Questions may be read by a model of their own that was taught the same space, which is how a model for
    English pictures is asked in Japanese (Reimers & Gurevych, arXiv 2004.09813). May be called from several
    threads; one computes at a time.
    """

    sha256: str
    dimensions: int

    def __init__(
        self,
        pictures: Weights,
        questions: Path | None = None,
        device: str | None = None,
        batch_size: int = 16,
    ) -> None:
        """Load onto `device` ("cpu", "cuda", None: the best there is). Raises BadWeights when one does not
        read what it should, or the two do not fit."""
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._pictures = load(pictures.path, device, torch.float32)
        self._questions = load(questions, device, torch.float32) if questions else self._pictures
        self._batch_size = batch_size
        self._lock = threading.Lock()
        self.sha256 = pictures.sha256
        _require(self._pictures, "image", pictures.path)
        _require(self._questions, "text", questions or pictures.path)
        lengths = self._pictures.get_embedding_dimension(), self._questions.get_embedding_dimension()
        if len(set(lengths)) > 1:
            raise BadWeights(f"vectors of {lengths[0]} (pictures) and {lengths[1]} (questions) dimensions")
        self.dimensions = int(lengths[0] or 0)

    def pictures(self, pictures: Sequence[Picture]) -> Sequence[Vector]:
        """Return one unit vector per picture."""
        if not pictures:
            return []
        images = [Image.frombytes("RGB", (each.width, each.height), each.rgb) for each in pictures]
        return cast("list[Vector]", list(self._encode(self._pictures, images)))

    def query(self, text: str) -> Vector:
        """Return the unit vector of a question."""
        return cast("Vector", self._encode(self._questions, [text])[0])

    def _encode(
        self, model: SentenceTransformer, inputs: list[Image.Image] | list[str]
    ) -> NDArray[np.float32]:
        with self._lock:
            found = model.encode(
                inputs,
                batch_size=self._batch_size,
                convert_to_numpy=True,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        return np.asarray(found, dtype=np.float32)


def _require(model: SentenceTransformer, kind: Literal["image", "text"], path: Path) -> None:
    if not model.supports(kind):
        raise BadWeights(f"{path} reads {', '.join(map(str, model.modalities))}, not {kind}")
