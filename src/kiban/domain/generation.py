"""Embedder + chunking + tokeniser: one generation of the index.

Chunking + tokeniser are its cut: how the text was cut into chunks and terms. Generations that differ in their
embedders alone share a cut, and so its chunks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

FIRST_CUT = 1  # that of the founding generation, which is never dropped


@dataclass(frozen=True, slots=True)
class Cut:
    """How the chunks and terms of some generations are made."""

    id: int
    tokenizer: str
    chunking: str


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
    chunks: int  # of its cut: each should have one
    size: int  # bytes of its vectors and their graphs
    cut: int = FIRST_CUT
    documents: int = 0  # that say anything
    uncut: int = 0  # of these, not yet cut its way

    @property
    def missing(self) -> int:
        return max(0, self.chunks - self.vectors)

    @property
    def whole(self) -> bool:
        """Say whether every document is cut, and every chunk has its vector."""
        return not self.missing and not self.uncut

    @property
    def built(self) -> float:
        """Return the share of what is stored that it can find, 0..1."""
        vectors = self.vectors / self.chunks if self.chunks else 1.0
        return vectors * (1 - self.uncut / self.documents) if self.documents else vectors
