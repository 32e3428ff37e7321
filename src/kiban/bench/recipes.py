"""Ways to teach an embedder, to be compared: `kiban bench adapt --recipe NAME --recipe NAME`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kiban.domain.question import Passage
from kiban.errors import SettingsError
from kiban.ingest.chunking import embedding_text

if TYPE_CHECKING:  # seconds to import
    from kiban.backends.sentence_transformers_trainer import SentenceTransformersTrainer


@dataclass(frozen=True, slots=True)
class Recipe:
    """What differs from the house's own way."""

    settings: Mapping[str, Any] = field(default_factory=dict)  # of the trainer
    headed: bool = True  # passages stand below their title and heading, as they do when they are searched

    def trainer(self, base: Path, device: str) -> SentenceTransformersTrainer:
        from kiban.backends.sentence_transformers_trainer import SentenceTransformersTrainer

        return SentenceTransformersTrainer(base, device, **self.settings)

    def text(self, passage: Passage) -> str:
        return embedding_text(passage.title, passage) if self.headed else passage.normalised


HOUSE = "house"
PLAIN: dict[str, Any] = {"negatives": 0, "keep": 0.0, "lengths": (), "share": 0.5}
RECIPES: Mapping[str, Recipe] = {
    HOUSE: Recipe(headed=False),
    "gist, bare": Recipe(PLAIN, headed=False),
    "gist": Recipe(PLAIN),
    "gist+kept": Recipe(PLAIN | {"keep": 0.1}),
    "gist+kept, whole": Recipe(PLAIN | {"keep": 0.1, "share": 1.0}),
    "gist+mined": Recipe(PLAIN | {"negatives": 1}),
    "gist+kept+mined": Recipe(PLAIN | {"negatives": 1, "keep": 0.1}),
    "gist+kept+mined+matryoshka": Recipe(PLAIN | {"negatives": 1, "keep": 0.1, "lengths": (192, 96)}),
}


def named(name: str) -> Recipe:
    """Raises SettingsError."""
    try:
        return RECIPES[name]
    except KeyError:
        raise SettingsError(f"No recipe is called {name!r}; there are {', '.join(RECIPES)}.") from None
