"""Backends, each built from the settings when first needed, and only once."""

from __future__ import annotations

import logging
import os
import platform
from dataclasses import replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from kiban.backends import synonyms_file
from kiban.backends.candidates import CandidateFolder, CandidateShelf
from kiban.backends.nights import NightShelf
from kiban.backends.openid_provider import OpenIdProvider
from kiban.backends.parsers.jail import JailedParser
from kiban.backends.parsers.page_drawer import PageDrawer
from kiban.backends.parsers.worker_process import Limits
from kiban.backends.passwords import Passwords
from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.conversations import PostgresConversations
from kiban.backends.postgres.credentials import PostgresCredentials
from kiban.backends.postgres.feedback import PostgresFeedback
from kiban.backends.postgres.generations import PostgresGenerations
from kiban.backends.postgres.ledger import PostgresLedger
from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.queue import PostgresQueue
from kiban.backends.postgres.records import PostgresRecords
from kiban.backends.postgres.search import PostgresDirectory, PostgresSearch
from kiban.backends.pseudonyms import Pseudonyms
from kiban.backends.sensitive.detector import SensitiveDetector
from kiban.backends.sudachi import SudachiTokenizer
from kiban.backends.tokens import LOCAL_ISSUER, LocalIssuer, TokenVerifier
from kiban.backends.vllm_adapters import VllmAdapters
from kiban.backends.vllm_generator import VllmGenerator
from kiban.backends.weights import shelf
from kiban.domain.generation import FIRST_CUT, Cut
from kiban.domain.learning import Curriculum, Weights
from kiban.domain.question import Synonyms
from kiban.errors import NoSuchRelease
from kiban.ingest.absorb import Cutter
from kiban.ingest.chunking import MAX, Chunking
from kiban.ports import Embedder, PictureEmbedder, Progress, Source, Tokenizer
from kiban.release import ledger
from kiban.retrieve.rerank import Reranking
from kiban.settings import Settings
from kiban.stack import databases, environment, machine
from kiban.wiring import sources

if TYPE_CHECKING:  # seconds to import each, and not every process needs them
    from kiban.backends.mlflow_registry import MlflowRegistry
    from kiban.backends.mlflow_traces import MlflowTraces
    from kiban.backends.openid_login import OpenIdLogin
    from kiban.backends.otel import OtelWatcher
    from kiban.backends.sentence_transformers import SentenceTransformersEmbedder

log = logging.getLogger(__name__)

LONGEST_PASSAGE = "社" * int(MAX)  # what a chunk is cut to, in full-width characters
BASE_MODEL = "base"  # what every vLLM server calls the model without an adapter


class Furniture:
    """What stands in the house."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._tokenizers: dict[str, SudachiTokenizer] = {}
        self._cuts: dict[int, Cut] = {}
        self.progress: Progress = lambda done, total, what: log.info("%s %d/%d", what, done, total)
        self._loaded: dict[str, SentenceTransformersEmbedder] = {}
        self._reranking: dict[str, Reranking | None] = {}
        self._one_at_a_time = Lock()

    def close(self) -> None:
        """Close the connections and processes that were opened."""
        for name in ("postgres", "parser", "page_drawer", "adapters", "otel", "traces"):
            if name in self.__dict__:
                self.__dict__[name].close()

    def stage(self, name: str) -> Progress:
        """Return progress under one name, whatever is reported as being done."""
        return lambda done, total, what: self.progress(done, total, name)

    def inventory(self) -> dict[str, str]:
        """Return what somebody needs to know to repeat a result."""
        settings = self.settings
        return {
            "LLM": f"{settings.llm} {self.llm.sha256[:12]}",
            "embedder": f"{settings.embedder} {self.base_embedder.sha256[:12]}",
            "LoRA": f"rank {settings.lora_rank}, {settings.epochs} epoch(s)",
            "device": self.device,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            **{name: version(name) for name in ("torch", "trl", "peft", "sentence-transformers")},
        }

    def licences(self) -> dict[str, str]:
        """Return under which licence each base model came, by its name in the settings."""
        settings = self.settings
        named = {settings.llm: self.llm, settings.embedder: self.base_embedder}
        if settings.reranker:
            named[settings.reranker] = self.fetched(settings.reranker)
        return {name: shelf.licence(weights) for name, weights in named.items()}

    # --- Postgres ---

    @cached_property
    def roles(self) -> databases.Roles:
        return databases.roles(self.settings)

    @cached_property
    def postgres(self) -> Postgres:
        roles = self.roles
        return Postgres(roles.writer, roles.reader, admin_dsn=roles.admin, replica_dsn=roles.replica)

    @cached_property
    def library(self) -> PostgresLibrary:
        return PostgresLibrary(self.postgres)

    @cached_property
    def queue(self) -> PostgresQueue:
        return PostgresQueue(self.postgres)

    @property
    def index(self) -> PostgresSearch:
        """Return the index as the release in force reads it. Raises NoSuchRelease."""
        return self.index_of(ledger.in_force(self.ledger).generation)

    def index_of(self, generation: int) -> PostgresSearch:
        """Return the index as releases made with this generation read it. Raises NoSuchGeneration."""
        return PostgresSearch(self.postgres, self.cut_of(generation).id)

    @cached_property
    def directory(self) -> PostgresDirectory:
        return PostgresDirectory(self.postgres)

    @cached_property
    def ledger(self) -> PostgresLedger:
        return PostgresLedger(self.postgres)

    @cached_property
    def feedback(self) -> PostgresFeedback:
        return PostgresFeedback(self.postgres)

    @cached_property
    def conversations(self) -> PostgresConversations:
        return PostgresConversations(self.postgres)

    @cached_property
    def records(self) -> PostgresRecords:
        return PostgresRecords(self.postgres)

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

    # --- Models ---

    @cached_property
    def device(self) -> str:
        return "cuda" if machine.uses_gpu(self.settings.device) else "cpu"

    @cached_property
    def llm(self) -> Weights:
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

    # --- Index generations ---

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

    def fetched(self, name: str) -> Weights:
        """Return a model by a known name, a folder or a hub id."""
        return shelf.find(name, self.settings.state / "models", self.settings.allow_hub, self.stage(name))

    # --- Serving ---

    @cached_property
    def vllm_urls(self) -> tuple[str, ...]:
        return self.settings.vllm_urls or (f"http://{self.settings.host}:{self.settings.vllm_port}",)

    @cached_property
    def generator(self) -> VllmGenerator:
        return VllmGenerator(self.vllm_urls, self.settings.silence_seconds)

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

    @cached_property
    def adapters(self) -> VllmAdapters:
        return VllmAdapters(self.vllm_urls)

    # --- Watchers ---

    @cached_property
    def otel(self) -> OtelWatcher:
        from kiban.backends.otel import OtelWatcher

        return OtelWatcher(self.settings.otel_endpoint)

    @cached_property
    def traces(self) -> MlflowTraces:
        from kiban.backends.mlflow_traces import MlflowTraces

        return MlflowTraces(environment.mlflow_uri(self.settings))

    # --- Shelves ---

    @cached_property
    def registry(self) -> MlflowRegistry:
        from kiban.backends.mlflow_registry import MlflowRegistry

        return MlflowRegistry(environment.mlflow_uri(self.settings), "kiban")

    @cached_property
    def candidates(self) -> CandidateShelf:
        return CandidateShelf(self.settings.state / "candidates")

    @cached_property
    def nights(self) -> NightShelf:
        return NightShelf(self.settings.state / "nights")

    def candidate_folder(self, curriculum: Curriculum) -> CandidateFolder:
        """Return the folder of what this curriculum becomes on this base with these settings."""
        settings = self.settings
        recipe = (curriculum.sha256, self.llm.sha256, settings.lora_rank, settings.epochs)
        chosen = {"reranker": settings.train_reranker, "four bits": settings.four_bits}
        more = [name for name, is_chosen in chosen.items() if is_chosen]
        return self.candidates.begin(*recipe, *more, *sorted(set(settings.read_first)))

    # --- Identity ---

    @cached_property
    def pseudonyms(self) -> Pseudonyms:
        return Pseudonyms(self.settings.state / "identity")

    @cached_property
    def credentials(self) -> PostgresCredentials:
        return PostgresCredentials(self.postgres)

    @cached_property
    def passwords(self) -> Passwords:
        return Passwords()

    @cached_property
    def issuer(self) -> LocalIssuer:
        return LocalIssuer(self.settings.state / "identity")

    @cached_property
    def verifier(self) -> TokenVerifier:
        """Check tokens of the OIDC provider in the settings, or of this house, by the same code."""
        return self._verifier(self.settings.token_audience)

    @cached_property
    def openid_login(self) -> OpenIdLogin | None:
        """Return where people log in; none where they do so here, or bring their tokens."""
        settings = self.settings
        if settings.token_issuer is None or not settings.login_client:
            return None
        from kiban.backends.openid_login import OpenIdLogin

        page = settings.page_url or f"http://{settings.host}:{settings.chat_port}"
        return OpenIdLogin(
            OpenIdProvider(settings.token_issuer),
            self._verifier(settings.login_client),
            settings.login_client,
            settings.login_secret.get_secret_value(),
            f"{page}/login/back",
            settings.login_scopes,
        )

    def _verifier(self, audience: str) -> TokenVerifier:
        issuer, named_by = self.settings.token_issuer, self.settings.token_names
        if issuer is None:
            return TokenVerifier(self.issuer.jwks, LOCAL_ISSUER, audience)
        return TokenVerifier(issuer, issuer, audience, named_by=named_by)
