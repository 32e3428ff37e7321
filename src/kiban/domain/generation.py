"""Embedder + chunking + tokeniser: one generation of the index."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class IndexGeneration:
    """A generation as it stands now."""

    id: int
    embedder: str  # path of its weights
    embedder_sha256: str
    dimensions: int
    tokenizer: str
    chunking: str
    created: datetime
    vectors: int
    chunks: int  # that should have one
    size: int  # bytes of its vectors and their graphs

    @property
    def missing(self) -> int:
        return max(0, self.chunks - self.vectors)

    @property
    def built(self) -> float:
        """Return the share of all chunks that it can find, 0..1."""
        return self.vectors / self.chunks if self.chunks else 1.0
