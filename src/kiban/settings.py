"""The one reader of the environment: kiban.toml, overridden by KIBAN_* variables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from kiban.channel_settings import ChannelSettings
from kiban.directory_settings import DirectorySettings
from kiban.domain.learning import QuestionKind
from kiban.errors import SettingsError
from kiban.source_settings import SourceSettings

_FROM_ENVIRONMENT = "env:"
Table = TypeVar("Table", bound=BaseModel)
Place = TypeVar("Place", SourceSettings, DirectorySettings)
ROOT = Path(__file__).resolve().parents[2]  # the checkout


def _number(given: object) -> object:
    return int(given) if isinstance(given, str) and given.isdecimal() else given  # the environment is text


class Settings(BaseSettings):
    """Where things are. Everything has a default that works on a laptop."""

    model_config = SettingsConfigDict(
        env_prefix="KIBAN_", toml_file="kiban.toml", extra="forbid", frozen=True
    )

    state: Path = Field(ROOT / "state", description="Folder for everything Kiban keeps")
    documents: Path = Field(ROOT / "infra/demo/documents", description="Folder that the hourly flow ingests")
    sources: tuple[SourceSettings, ...] = Field(
        (), description="Where documents come from besides that folder; see source_settings.py"
    )
    channels: tuple[ChannelSettings, ...] = Field(
        (), description="Chat platforms that people ask from; see channel_settings.py"
    )
    channels_port: int = Field(
        8705, ge=1, le=65535, description="Where `python -m services.channels` listens"
    )
    directories: tuple[DirectorySettings, ...] = Field(
        (), description="Where people's groups come from besides sources; see directory_settings.py"
    )
    deletion_guard: float = Field(
        0.3, ge=0, le=1, description="Larger shares of a source are not deleted at once unless allowed"
    )
    ingest_engine: Literal["here", "ray"] = Field(
        "here", description="Where documents are read: in a flow's process, or on the nodes of a Ray cluster"
    )
    ray_address: str = Field(
        "auto", description="Head of the Ray cluster, HOST:PORT; auto: the cluster that this machine is in"
    )
    ray_cores: int = Field(4, ge=1, description="Cores of one worker there; a node has as many as fit")
    host: str = Field("127.0.0.1", description="Address every embedded part listens on")
    chat_port: int = Field(8700, ge=1, le=65535, description="Chat API and page")
    postgres_port: int = Field(8701, ge=1, le=65535, description="Embedded Postgres")
    prefect_port: int = Field(8702, ge=1, le=65535, description="Embedded Prefect server")
    mlflow_port: int = Field(8703, ge=1, le=65535, description="Embedded MLflow server")
    vllm_port: int = Field(8704, ge=1, le=65535, description="Embedded vLLM server")
    other_vllm_port: int = Field(8706, ge=1, le=65535, description="Embedded vLLM server of other_llm")
    postgres_dsn: str | None = Field(None, description="An existing Postgres >= 16 with pgvector >= 0.8.2")
    postgres_replica_dsn: str | None = Field(
        None, description="A streaming replica of it, asked while it has heard of every change of readers"
    )
    prefect_api_url: str | None = Field(None, description="An existing Prefect 3 server, ending in /api")
    mlflow_tracking_uri: str | None = Field(None, description="An existing MLflow 3 server")
    vllm_urls: tuple[str, ...] = Field((), description="Existing vLLM servers, e.g. http://gpu1:8000")
    other_vllm_urls: tuple[str, ...] = Field((), description="Existing vLLM servers that have other_llm")
    tool_call_parser: str = Field(
        "hermes", description="How the embedded vLLM reads calls of tools in what the LLM writes; vLLM's name"
    )
    silence_seconds: float = Field(
        60, gt=0, description="Longest silence of a model server, before an answer and within it"
    )
    hosted_url: str = Field(
        "",
        description="Somebody else's OpenAI-compatible server, asked beside ours when candidates are judged, "
        "and only about what everyone may read; empty: nobody's",
    )
    hosted_model: str = Field("", description="What that server calls the model to compare with")
    hosted_key: SecretStr = Field(SecretStr(""), description="The key it wants")
    machine_hour_price: float | None = Field(
        None, ge=0, description="What an hour of the machine costs, for the report; unset: no price is told"
    )
    currency: str = Field("円", description="Of that price")
    device: Literal["auto", "cpu", "gpu"] = Field("auto", description="What trains and serves")
    llm: str = Field(
        "qwen2.5-coder-0.5b-instruct", description="A name `kiban models` knows, a folder or a hub id"
    )
    other_llm: str = Field(
        "",
        description="Another base model, with servers of its own beside those of llm, to be judged by `kiban "
        "judge --other-llm` against what answers now; named as llm is",
    )
    embedder: str = Field(
        "multilingual-e5-small", description="A name `kiban models` knows, a folder or a hub id"
    )
    reranker: str = Field(
        "",
        description="A cross-encoder that reads the best passages again: a folder or a hub id; empty: none",
    )
    chunking: str = Field(
        "250-350",
        description="Target and most of a chunk in full-width characters, in a new house; afterwards: "
        "kiban generations build",
    )
    tokenizer: str = Field(
        "sudachi-core-A-1",
        description="What makes lexical terms in a new house; afterwards: kiban generations build",
    )
    rerank_ms: int = Field(
        200, ge=0, description="Milliseconds a reranker may take, turned into a number of passages at start"
    )
    train_reranker: bool = Field(
        False,
        description="Train a reranker with each candidate, from the one above or the embedder's encoder: "
        "minutes more on a CPU",
    )
    picture_embedder: str = Field(
        "",
        description="A CLIP model in the sentence-transformers format, by which figures and drawings are "
        "found: a folder or a hub id; empty: pictures are not kept",
    )
    picture_text_embedder: str = Field(
        "",
        description="A model that reads questions into that space, in other languages: a folder or a hub id; "
        "empty: the same model",
    )
    pictures: int = Field(50, ge=1, description="Pictures of one document that are kept, at most")
    synonyms: Path | None = Field(
        None, description="The company's abbreviations; unset: .synonyms.yaml at the root of `documents`"
    )
    allow_hub: bool = Field(False, description="May models be fetched from a hub")
    token_issuer: str | None = Field(
        None, description="OIDC issuer URL; unset: tokens this house signs itself"
    )
    mcp_token: str | None = Field(None, description="The token with which `kiban mcp` asks, without --as")
    token_audience: str = Field("kiban", description="The audience a token must name")
    token_names: str = Field(
        "sub", description="The claim that holds what the directory calls a person, e.g. preferred_username"
    )
    login_client: str = Field(
        "",
        description="What that issuer calls the page, where people log in there; empty: tokens only",
    )
    login_secret: SecretStr = Field(SecretStr(""), description="Its secret; empty: a public client")
    login_scopes: str = Field("openid profile email", description="What is asked of the issuer for it")
    page_url: str = Field(
        "", pattern=r"^(https?://[^/]+)?$", description="Where browsers reach the page; empty: HOST:CHAT_PORT"
    )
    session_hours: int = Field(12, ge=1, description="How long somebody stays logged in on the page")
    readers: str = Field("everyone", description="The group that may ask and search")
    curators: str = Field("curators", description="The group that decides what is learnt from feedback")
    operators: str = Field("operators", description="The group that sees how the house stands")
    auditors: str = Field("auditors", description="The group that sees what was answered, as keyed hashes")
    requests_per_minute: int = Field(
        600, ge=1, description="Of one person, at each process of the chat service"
    )
    answers_per_minute: int = Field(
        60, ge=1, description="Of one person, at each process of the chat service"
    )
    answers_at_once_each: int = Field(16, ge=1, description="Of these, for one person")
    answers_at_once: int = Field(64, ge=1, description="That one process of the chat service has written")
    unreached_hours: int = Field(
        48, ge=1, description="A source that was not listed for so long makes its documents stale"
    )
    old_days: int = Field(1095, ge=1, description="A document not modified for so long is called old")
    otel_endpoint: str = Field(
        "", description="An OpenTelemetry collector that gets every answer's steps, such as http://host:4318"
    )
    mlflow_traces: float = Field(
        0.0, ge=0, le=1, description="Share of answers whose steps, and thumbs, are kept in MLflow"
    )
    policy: Path | None = Field(
        None, description="The company's rules for questions and answers: infra/policy.example.toml"
    )
    conversation_days: int = Field(90, ge=1, description="How long a person's conversations are kept")
    record_months: int = Field(6, ge=1, description="How long it is kept who was answered from what")
    exact_lane_limit: int = Field(20_000, ge=0, description="Search exactly up to this many visible chunks")
    graph_zone_chunks: int = Field(
        10_000, ge=100, description="Build a graph for each zone of this many chunks"
    )
    max_file_mb: int = Field(50, ge=1, description="Larger files are recorded as failed")
    ocr_pages: int = Field(
        20, ge=0, description="Pages of one document without text that are read by OCR, at most; 0: none"
    )
    approval: bool = Field(False, description="Does a release that passed wait for `kiban approve`")
    canary: tuple[Annotated[int, Field(ge=1, le=99)], ...] = Field(
        (),
        description="Per cent of people whom a release answers before it answers all, step by step, such as "
        "[5, 25]; empty: all at once",
    )
    canary_answers: int = Field(
        100, ge=1, description="Answers by the release on trial that each of those steps needs"
    )
    shadow_questions: int = Field(
        0,
        ge=0,
        le=500,
        description="Past questions that are replayed, unseen, on a release that passed, before it "
        "answers anybody; 0: none",
    )
    lora_rank: Annotated[Literal[8, 16, 32, 64], BeforeValidator(_number)] = Field(
        16, description="Rank of adapters"
    )
    four_bits: bool = Field(
        False,
        description="Train adapters over a base model held in four bits (QLoRA): GPUs with bitsandbytes",
    )
    training_processes: int = Field(
        1,
        ge=1,
        description="That share the training of an adapter: a GPU each; its batch of 4 has to come out even",
    )
    training_engine: Literal["here", "ray"] = Field(
        "here", description="Where they run: on this machine, or on the Ray cluster at ray_address"
    )
    training_sharded: bool = Field(
        False, description="Hold the base model in slices, one per process (FSDP): where one GPU is too small"
    )
    epochs: int = Field(1, ge=1, le=10, description="Passes over the curriculum")
    training_questions: int = Field(64, ge=8, description="Questions to learn from, at most")
    audited_secrets: int = Field(
        4, ge=1, description="Secrets, and restricted facts, that an adapter is audited for, at most"
    )
    zone_documents: int = Field(
        50, ge=2, description="Train an adapter of its own for each zone of this many documents"
    )
    adapters_at_once: int = Field(
        4, ge=1, le=64, description="Adapters that vLLM applies in one batch: everyone's and those of zones"
    )
    training_pairs: int = Field(
        64, ge=8, description="Questions of all kinds that the embedder learns from, at most"
    )
    question_kinds: tuple[QuestionKind, ...] = Field(
        tuple(QuestionKind),
        min_length=1,
        description="How documents are asked about: question, keyword, claim, colloquial",
    )
    question_writer: str = Field(
        "templates",
        description='What puts questions into words: "templates", "llm" for the served model, or a folder or '
        "hub id of a T5-class question generator",
    )
    evaluation_sets: tuple[Path, ...] = Field(
        (), description="Folders of questions to be judged by, of which nothing may be learnt"
    )
    held_out_since: date | None = Field(
        None, description="Documents modified on or after this day are all held out to judge by"
    )
    train_preferences: bool = Field(
        False, description="Let answers that people confirmed or corrected move the adapter (KTO)"
    )
    read_first: tuple[Literal["llm", "embedder"], ...] = Field(
        (),
        description="What reads the documents as they stand before it is taught, as an experiment: llm "
        "(continued pre-training), embedder (masked words)",
    )
    teacher: str = Field(
        "",
        description='Who writes what the language model learns to say, where it is proven: "served" for what '
        "answers everyone now, or the URL of an OpenAI-compatible server, which is asked about what everyone "
        "may read alone; empty: the house's own form",
    )
    teacher_model: str = Field("", description="What that server calls the model")
    teacher_key: SecretStr = Field(SecretStr(""), description="The key it wants")
    judging_questions: int = Field(80, ge=8, description="Held-out questions to judge with, at most")

    @field_validator("sources", "directories")
    @classmethod
    def _with_secrets(cls, places: tuple[Place, ...], about: ValidationInfo) -> tuple[Place, ...]:
        names = [place.name for place in places]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two {about.field_name} are named {', '.join(twice)}")
        return tuple(_with_secrets(place, place.name) for place in places)

    @field_validator("channels")
    @classmethod
    def _channels(cls, channels: tuple[ChannelSettings, ...]) -> tuple[ChannelSettings, ...]:
        kinds = [channel.kind for channel in channels]
        if twice := sorted({kind for kind in kinds if kinds.count(kind) > 1}):
            raise ValueError(f"two channels are of kind {', '.join(twice)}")
        return tuple(_with_secrets(channel, f"channel {channel.kind}") for channel in channels)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def _with_secrets(table: Table, what: str) -> Table:
    """Return a table of the settings with each "env:NAME" replaced by what the environment says."""
    secrets = {
        field: SecretStr(os.environ[says.removeprefix(_FROM_ENVIRONMENT)])
        for field, says in _references(table, what)
    }
    return table.model_copy(update=secrets)


def _references(table: BaseModel, what: str) -> Iterator[tuple[str, str]]:
    for field, value in table:
        if isinstance(value, SecretStr) and (says := value.get_secret_value()).startswith(_FROM_ENVIRONMENT):
            if (name := says.removeprefix(_FROM_ENVIRONMENT)) not in os.environ:
                raise ValueError(f"{what}: {field} is {says}, but {name} is not set")
            yield field, says


@lru_cache
def load() -> Settings:
    """Return the settings of this process. Raises SettingsError naming each wrong field."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("; ".join(map(_told, error.errors()))) from None  # its text shows secrets


def _told(wrong: ErrorDetails) -> str:
    """Return what is wrong, and what was given unless it may hold a secret."""
    where = ".".join(map(str, wrong["loc"]))
    shown = isinstance(wrong["input"], (str, int, float)) and wrong["loc"][:1] not in (
        ("sources",),
        ("channels",),
        ("directories",),
    )
    return f"{where}: {wrong['msg']}" + (f" (got {wrong['input']!r})" if shown else "")
