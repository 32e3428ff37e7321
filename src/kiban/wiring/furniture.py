"""Backends, each built from the settings when first needed, and only once."""

from __future__ import annotations

import os
import platform
from dataclasses import replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from kiban.backends.candidates import CandidateFolder
from kiban.backends.parsers.jail import JailedParser
from kiban.backends.parsers.page_drawer import PageDrawer
from kiban.backends.parsers.worker_process import Limits
from kiban.backends.postgres.generations import PostgresGenerations
from kiban.backends.postgres.search import PostgresSearch
from kiban.backends.vllm_generator import VllmGenerator
from kiban.backends.weights import shelf
from kiban.domain.generation import FIRST_CUT, Cut
from kiban.domain.learning import Curriculum, Weights
from kiban.domain.release import Release
from kiban.errors import NoSuchRelease, NotServed
from kiban.ingest.absorb import Cutter
from kiban.ingest.chunking import Chunking
from kiban.ports import Embedder, Source, Tokenizer
from kiban.release import ledger
from kiban.settings import Settings
from kiban.stack import environment
from kiban.wiring import sources
from kiban.wiring.base import Base
from kiban.wiring.models import Models

if TYPE_CHECKING:  # seconds to import each, and not every process needs them
    from kiban.backends.mlflow_traces import MlflowTraces
    from kiban.backends.otel import OtelWatcher


class Furniture(Models):
    """What stands in the house."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._cuts: dict[int, Cut] = {}

    def close(self) -> None:
        """Close the connections and processes that were opened."""
        for name in ("postgres", "parser", "page_drawer", "otel", "traces"):
            if name in self.__dict__:
                self.__dict__[name].close()
        for base in self.__dict__.get("bases", ()):
            base.close()

    def inventory(self) -> dict[str, str]:
        """Return what somebody needs to know to repeat a result."""
        settings = self.settings
        return {
            "LLM": ", ".join(base.title for base in self.bases),
            "embedder": f"{settings.embedder} {self.base_embedder.sha256[:12]}",
            "LoRA": f"rank {settings.lora_rank}, {settings.epochs} epoch(s)",
            "device": self.device,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            **{name: version(name) for name in ("torch", "trl", "peft", "sentence-transformers")},
        }

    def licences(self) -> dict[str, str]:
        """Return under which licence each base model came, by its name in the settings."""
        settings = self.settings
        named = {base.setting: base.weights for base in self.bases} | {settings.embedder: self.base_embedder}
        if settings.reranker:
            named[settings.reranker] = self.fetched(settings.reranker)
        return {name: shelf.licence(weights) for name, weights in named.items()}

    # --- Reading ---

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        return sources.open_all(self.settings)

    def source(self, name: str) -> Source:
        """Return a source by its name, or by the path of a folder."""
        return sources.find(name, self.sources, self.settings.max_file_mb * 1_000_000)

    @cached_property
    def parser(self) -> JailedParser:
        limits = Limits(file_bytes=self.settings.max_file_mb * 1_000_000)
        if self.settings.picture_embedder:
            pictures = self.settings.pictures
            limits = replace(limits, thumbnails=pictures, cpu_seconds=limits.cpu_seconds + pictures)
        return JailedParser(limits, pictures=self.settings.ocr_pages)

    @cached_property
    def page_drawer(self) -> PageDrawer:
        return PageDrawer()

    # --- Index generations ---

    @property
    def index(self) -> PostgresSearch:
        """Return the index as the release in force reads it. Raises NoSuchRelease."""
        return self.index_of(ledger.in_force(self.ledger).generation)

    def index_of(self, generation: int) -> PostgresSearch:
        """Return the index as releases made with this generation read it. Raises NoSuchGeneration."""
        return PostgresSearch(self.postgres, self.cut_of(generation).id)

    def generation(self, embedder: Weights, tokenizer: str | None = None, chunking: str | None = None) -> int:
        """Return the index generation of an embedder and a cut, beginning an empty one if there is none.

        What is not named is as in the release that candidates are measured against, in an empty house as the
        settings say. Raises SettingsError for a cut that this version cannot make.
        """
        try:
            now = self.cut_of(ledger.ground(self.ledger).generation)
        except NoSuchRelease:
            now = Cut(FIRST_CUT, self.settings.tokenizer, self.settings.chunking)
        tokenizer = self.tokenizer_named(tokenizer or now.tokenizer).name
        chunking = Chunking.named(chunking or now.chunking).name
        dimensions = self.embedder(embedder).dimensions
        return self.library.add_generation(
            str(embedder.path), embedder.sha256, dimensions, tokenizer, chunking
        )

    def cut_of(self, generation: int) -> Cut:
        """Return how a generation is cut. Raises NoSuchGeneration."""
        if generation not in self._cuts:
            self._cuts[generation] = PostgresGenerations(self.postgres).cut_of(generation)
        return self._cuts[generation]

    def tokenizer_of(self, generation: int) -> Tokenizer:
        """Return what made the terms of a generation's chunks. Raises NoSuchGeneration, SettingsError."""
        return self.tokenizer_named(self.cut_of(generation).tokenizer)

    def cutters(self) -> tuple[Cutter, ...]:
        """Return every cut with the embedder of each of its generations: all are kept up to date until they
        are dropped. Raises SettingsError for a cut that this version cannot make."""
        found: dict[int, tuple[Cut, dict[int, Embedder]]] = {}
        for generation, path, sha256, cut in self.library.generations():
            found.setdefault(cut.id, (cut, {}))[1][generation] = self.embedder(Weights(Path(path), sha256))
        return tuple(
            Cutter(self.tokenizer_named(cut.tokenizer), embedders, Chunking.named(cut.chunking), id)
            for id, (cut, embedders) in sorted(found.items())
        )

    # --- Serving ---

    @cached_property
    def bases(self) -> tuple[Base, ...]:
        """Return the base models that servers have: that of the settings, and the other, if one is named."""
        settings, here = self.settings, f"http://{self.settings.host}"
        urls = settings.vllm_urls or (f"{here}:{settings.vllm_port}",)
        found = [Base(settings.llm, self.llm, urls, "vllm", settings.silence_seconds)]
        if name := settings.other_llm:
            urls = settings.other_vllm_urls or (f"{here}:{settings.other_vllm_port}",)
            found.append(Base(name, self.fetched(name), urls, "other-vllm", settings.silence_seconds))
        return tuple(found)

    def base_of(self, release: Release) -> Base:
        """Return the base model that a release was judged on. Raises NotServed."""
        for base in self.bases:
            if base.is_of(release):
                return base
        served = ", ".join(base.name for base in self.bases)
        raise NotServed(
            f"Release {release.id} was judged on {release.llm}; servers have {served}.",
            mend="name it again as llm or other_llm in the settings, then kiban up",
        )

    def serves(self, release: Release) -> bool:
        """Tell whether servers here have a release's base model."""
        return any(base.is_of(release) for base in self.bases)

    @property
    def base(self) -> Base:
        """Return the base model in force, on which all is learnt; in an empty house that of the settings.

        Raises NotServed.
        """
        try:
            return self.base_of(ledger.in_force(self.ledger))
        except NoSuchRelease:
            return self.bases[0]

    @cached_property
    def hosted(self) -> VllmGenerator | None:
        """Return somebody else's model to compare with; none by default."""
        settings = self.settings
        if not settings.hosted_url:
            return None
        return VllmGenerator([settings.hosted_url], api_key=settings.hosted_key.get_secret_value())

    @cached_property
    def teacher(self) -> VllmGenerator:
        """Return the server that the settings name as a teacher."""
        settings = self.settings
        return VllmGenerator(
            [settings.teacher], settings.silence_seconds, api_key=settings.teacher_key.get_secret_value()
        )

    # --- Watchers ---

    @cached_property
    def otel(self) -> OtelWatcher:
        from kiban.backends.otel import OtelWatcher

        return OtelWatcher(self.settings.otel_endpoint)

    @cached_property
    def traces(self) -> MlflowTraces:
        from kiban.backends.mlflow_traces import MlflowTraces

        return MlflowTraces(environment.mlflow_uri(self.settings))

    # --- Candidates ---

    def candidate_folder(self, curriculum: Curriculum) -> CandidateFolder:
        """Return the folder of what this curriculum becomes on this base with these settings."""
        settings = self.settings
        recipe = (curriculum.sha256, self.base.weights.sha256, settings.lora_rank, settings.epochs)
        chosen = {"reranker": settings.train_reranker, "four bits": settings.four_bits}
        more = [name for name, is_chosen in chosen.items() if is_chosen]
        return self.candidates.begin(*recipe, *more, *sorted(set(settings.read_first)))
