"""Vectors that are kept between benches: a corpus is embedded once, not in every run."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kiban.bench import beir
from kiban.domain.access import EVERYONE, Audience
from kiban.domain.document import Arrival, ParsedDocument, SourceFile
from kiban.ingest import chunking
from kiban.ports import Embedder, Progress, Tokenizer, Vector

Vectors = NDArray[np.float32]
Parsed = tuple[SourceFile, ParsedDocument]
BATCH = 64  # documents embedded at a time; another number would not find what is kept


class KeptEmbedder:
    """An embedder that keeps passages' vectors by their content.

    `seconds` is what embedding them took when it was done, now or in a run before.
    """

    def __init__(self, embedder: Embedder, kept: Path) -> None:
        self.dimensions = embedder.dimensions
        self.seconds = 0.0
        self._embedder, self._kept = embedder, kept

    def passages(self, texts: Sequence[str]) -> Sequence[Vector]:
        found: list[Vector] = self.matrix(texts).tolist()
        return found

    def matrix(self, texts: Sequence[str]) -> Vectors:
        """Return one row a text."""
        if not texts:
            return np.empty((0, self.dimensions), dtype=np.float32)
        digest = hashlib.sha256("\0".join([chunking.CHUNKING, self._id, *texts]).encode()).hexdigest()[:16]
        path = self._kept / f"{digest}.npz"
        if not path.exists():
            began = time.perf_counter()
            vectors = np.asarray(self._embedder.passages(texts), dtype=np.float32)
            self._kept.mkdir(parents=True, exist_ok=True)
            np.savez(path, vectors=vectors, seconds=time.perf_counter() - began)
        with np.load(path) as found:
            self.seconds += float(found["seconds"])
            return np.asarray(found["vectors"])

    def query(self, text: str) -> Vector:
        return self._embedder.query(text)

    @cached_property
    def _id(self) -> str:
        """Name the embedder by what it does to a word."""
        return np.asarray(self._embedder.query("kiban 基盤"), dtype=np.float16).tobytes().hex()


def corpus(
    folder: Path, tokenizer: Tokenizer, embedder: KeptEmbedder, progress: Progress
) -> Iterator[tuple[list[Arrival], Vectors]]:
    """Yield a folder in BEIR layout, cut and embedded, some documents at a time: one row a chunk.

    Raises SettingsError when the folder is not in BEIR layout.
    """
    documents, done = list(beir.documents(folder, Audience(frozenset({EVERYONE})))), 0
    for batch in batches(documents):
        arrivals = cut(batch, tokenizer)
        texts = [chunking.embedding_text(one.title, chunk) for one in arrivals for chunk in one.chunks]
        done += len(batch)
        yield arrivals, embedder.matrix(texts)
        progress(done, len(documents), "embed")


def batches(documents: Sequence[Parsed]) -> Iterator[Sequence[Parsed]]:
    for start in range(0, len(documents), BATCH):
        yield documents[start : start + BATCH]


def cut(batch: Sequence[Parsed], tokenizer: Tokenizer) -> list[Arrival]:
    """Cut each document that holds any text."""
    pieces = [(file, parsed.title, chunking.cut(parsed, tokenizer)) for file, parsed in batch]
    return [Arrival(file, title, chunks) for file, title, chunks in pieces if chunks]
