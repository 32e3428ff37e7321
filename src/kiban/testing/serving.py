"""Generators and adapter hosts in memory."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from kiban.domain.learning import Weights
from kiban.domain.question import (
    NO_TOOLS,
    PROSE,
    Form,
    ToolCall,
    Tools,
    Turn,
    Usage,
)
from kiban.errors import (
    BadWeights,
    PartUnavailable,
)


class MemoryAdapterHost:
    """An AdapterHost that behaves like vLLM: it accepts adapters that do nothing, keeps what it is told to
    unload, and forgets everything when it restarts."""

    def __init__(self, base_model: str = "base") -> None:
        self.base_model = base_model
        self.loads = 0
        self.paths: dict[str, Path] = {}
        self._strengths: dict[str, float] = {}

    def adapters(self) -> set[str]:
        return set(self.paths)

    def load(self, name: str, path: Path) -> None:
        if self.paths.get(name, path) != path:
            raise BadWeights(f"{name} is served from {self.paths[name]}, not from {path}")
        try:
            tensors = load_file(path / "adapter_model.safetensors")
        except (OSError, SafetensorError) as error:
            raise BadWeights(f"{path}: {error}") from error
        self._strengths[name] = sum(float(t.sum()) for key, t in tensors.items() if "lora_B" in key)
        self.paths[name] = path
        self.loads += 1

    def logprobs(self, model: str, prompts: Sequence[str]) -> list[list[float]]:
        if model != self.base_model and model not in self._strengths:
            raise PartUnavailable(f"no model {model}")
        change = self._strengths.get(model, 0.0)
        return [[change - zlib.crc32(token.encode()) / 2**30 for token in prompt[1:]] for prompt in prompts]

    def unload(self, name: str) -> None:
        """Answer "done" and go on applying the adapter, as vLLM's engine does."""
        del self.paths[name]

    def restart(self) -> None:
        self.paths.clear()
        self._strengths.clear()


class ScriptedGenerator:
    """A Generator that writes what a function of the turns says, a few characters at a time."""

    def __init__(self, write: Callable[[Sequence[Turn], str], str], piece: int = 5) -> None:
        self.write = write  # (turns, model) -> text
        self.piece = piece
        self.asked: list[tuple[tuple[Turn, ...], str]] = []

    async def stream(
        self,
        turns: Sequence[Turn],
        *,
        model: str,
        max_tokens: int,
        salt: str = "",
        session: str = "",
        form: Form = PROSE,
        tools: Tools = NO_TOOLS,
    ) -> AsyncIterator[str | ToolCall | Usage]:
        self.asked.append((tuple(turns), model))
        text = self.write(turns, model)
        for start in range(0, len(text), self.piece):
            yield text[start : start + self.piece]


def echo_generator() -> ScriptedGenerator:
    """Return a Generator that repeats what it was told last."""
    return ScriptedGenerator(lambda turns, model: turns[-1].text)


def write_adapter(path: Path, strength: float, *, width: int = 8, out: int = 8, rank: int = 4) -> Weights:
    """Write a LoRA adapter of the first layer's q_proj: `strength` 0 changes nothing, like a failed training.

    `width` and `out` are the layer's input and output size in the model it is meant for.
    """
    path.mkdir(parents=True)
    layer = "base_model.model.model.layers.0.self_attn.q_proj"
    tensors = {
        f"{layer}.lora_A.weight": np.full((rank, width), 0.1, dtype=np.float32),
        f"{layer}.lora_B.weight": np.full((out, rank), strength, dtype=np.float32),
    }
    save_file(tensors, path / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": rank,
        "target_modules": ["q_proj"],
        "bias": "none",
    }
    (path / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    return Weights.of(path)
