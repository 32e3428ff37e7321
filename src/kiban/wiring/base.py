"""Release → the model servers that have its base model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from kiban.backends.vllm_adapters import VllmAdapters
from kiban.backends.vllm_generator import VllmGenerator
from kiban.domain.learning import Weights
from kiban.domain.release import Release

BASE_MODEL = "base"  # what every vLLM server calls the model without an adapter


@dataclass(frozen=True)
class Base:
    """A base model and the servers that have it. Adapters belong to one base: its servers alone hold them."""

    setting: str  # what the settings call it
    weights: Weights
    urls: tuple[str, ...]
    part: str  # of the stack, what the names of its servers begin with
    silence: float  # seconds

    @property
    def name(self) -> str:
        """Return what releases call it."""
        return f"{self.setting}@{self.weights.sha256[:12]}"

    @property
    def title(self) -> str:
        """Return what people and curricula call it."""
        return f"{self.setting} {self.weights.sha256[:12]}"

    def is_of(self, release: Release) -> bool:
        """Tell whether a release was judged on this base, whatever the settings called it then."""
        return release.llm.rpartition("@")[2] == self.weights.sha256[:12]

    @cached_property
    def generator(self) -> VllmGenerator:
        return VllmGenerator(self.urls, self.silence)

    @cached_property
    def adapters(self) -> VllmAdapters:
        return VllmAdapters(self.urls)

    def close(self) -> None:
        if "adapters" in self.__dict__:
            self.adapters.close()
