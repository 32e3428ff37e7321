"""Index generations: which there are, building one beside another, and which one answers."""

from __future__ import annotations

from kiban.domain.learning import Weights
from kiban.wiring.furniture import Furniture


class Generations:
    """What an operator does with the index."""

    def __init__(self, furniture: Furniture) -> None:
        self._furniture = furniture

    def weights(self, generation: str | None = None, embedder: str | None = None) -> Weights:
        """Return the embedder of a generation, or one by name or folder, else that of the settings."""
        if generation is not None:
            raise NotImplementedError
        return self._furniture.fetched(embedder) if embedder else self._furniture.base_embedder
