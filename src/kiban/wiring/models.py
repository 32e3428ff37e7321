"""What reads texts and pictures: models, tokenisers, detectors, each loaded once."""

from __future__ import annotations

import logging
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

from kiban.backends import synonyms_file
from kiban.backends.sensitive.detector import SensitiveDetector
from kiban.backends.sudachi import SudachiTokenizer
from kiban.backends.weights import shelf
from kiban.domain.learning import Weights
from kiban.domain.question import Synonyms
from kiban.ingest.chunking import MAX
from kiban.ports import PictureEmbedder, Progress
from kiban.retrieve.rerank import Reranking
from kiban.settings import Settings
from kiban.stack import machine
from kiban.wiring.keys import Keys

if TYPE_CHECKING:  # seconds to import each, and not every process needs them
    from kiban.backends.sentence_transformers import SentenceTransformersEmbedder

log = logging.getLogger(__name__)

LONGEST_PASSAGE = "社" * int(MAX)  # what a chunk is cut to, in full-width characters


class Models(Keys):
    """What reads: models of the settings and of releases, tokenisers, detectors."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.progress: Progress = lambda done, total, what: log.info("%s %d/%d", what, done, total)
        self._tokenizers: dict[str, SudachiTokenizer] = {}
        self._loaded: dict[str, SentenceTransformersEmbedder] = {}
        self._reranking: dict[str, Reranking | None] = {}
        self._one_at_a_time = Lock()

    def stage(self, name: str) -> Progress:
        """Return progress under one name, whatever is reported as being done."""
        return lambda done, total, what: self.progress(done, total, name)

    @cached_property
    def device(self) -> str:
        return "cuda" if machine.uses_gpu(self.settings.device) else "cpu"

    @cached_property
    def llm(self) -> Weights:
        """Return the base model of the settings; that in force may be another, see Furniture.base."""
        return self.fetched(self.settings.llm)

    @cached_property
    def base_embedder(self) -> Weights:
        return self.fetched(self.settings.embedder)

    def embedder(self, weights: Weights) -> SentenceTransformersEmbedder:
        from kiban.backends.sentence_transformers import SentenceTransformersEmbedder

        if weights.sha256 not in self._loaded:
            self._loaded[weights.sha256] = SentenceTransformersEmbedder(weights.path, device=self.device)
        return self._loaded[weights.sha256]

    @cached_property
    def picture_embedder(self) -> PictureEmbedder | None:
        """Return what embeds pictures; none when the lane is off."""
        settings = self.settings
        if not settings.picture_embedder:
            return None
        from kiban.backends.picture_embedder import ClipEmbedder

        asked = settings.picture_text_embedder
        questions = self.fetched(asked).path if asked else None
        return ClipEmbedder(self.fetched(settings.picture_embedder), questions, device=self.device)

    @cached_property
    def base_reranker(self) -> Weights | None:
        """Return the reranker of the settings; none when nothing is read again."""
        return self.fetched(self.settings.reranker) if self.settings.reranker else None

    def reranking(self, learnt: Weights | None = None) -> Reranking | None:
        """Return a reranker, that of the settings without one, with its budget in passages, worked out once.

        None when there is neither, or no passage can be read in time.
        """
        weights = learnt or self.base_reranker
        if weights is None:
            return None
        with self._one_at_a_time:  # or two would measure each other
            if weights.sha256 not in self._reranking:
                self._reranking[weights.sha256] = self._budgeted(weights)
        return self._reranking[weights.sha256]

    def _budgeted(self, weights: Weights) -> Reranking | None:
        from kiban.backends.cross_encoder import CrossEncoderReranker

        reranker = CrossEncoderReranker(weights.path, device=self.device)
        passages = reranker.passages_within(self.settings.rerank_ms, LONGEST_PASSAGE)
        if not passages:
            log.warning("the reranker reads no passage in %d ms here: not used", self.settings.rerank_ms)
            return None
        return Reranking(reranker, passages)

    def fetched(self, name: str) -> Weights:
        """Return a model by a known name, a folder or a hub id."""
        return shelf.find(name, self.settings.state / "models", self.settings.allow_hub, self.stage(name))

    @cached_property
    def tokenizer(self) -> SudachiTokenizer:
        """Return the tokeniser of the settings."""
        return self.tokenizer_named(self.settings.tokenizer)

    def tokenizer_named(self, name: str) -> SudachiTokenizer:
        """Raises SettingsError."""
        if name not in self._tokenizers:
            self._tokenizers[name] = SudachiTokenizer.named(name)
        return self._tokenizers[name]

    @cached_property
    def detector(self) -> SensitiveDetector:
        return SensitiveDetector()

    @cached_property
    def synonyms(self) -> Synonyms:
        """Return the company's abbreviations; none when there is no list."""
        path = self.settings.synonyms or self.settings.documents / synonyms_file.NAME
        return synonyms_file.read(path) if self.settings.synonyms or path.exists() else Synonyms()
