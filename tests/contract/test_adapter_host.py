"""What the release room may expect of any AdapterHost.

The real one is tried where KIBAN_TEST_VLLM names a running vLLM that allows runtime LoRA updating, the
adapters' folder being readable by it.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from kiban.backends.vllm_adapters import VllmAdapters
from kiban.domain.learning import Weights
from kiban.errors import BadWeights, NoEffect, PartUnavailable
from kiban.ports import AdapterHost
from kiban.release.deploy import deploy
from kiban.testing import MemoryAdapterHost, write_adapter

PROMPTS = ("就業規則によると、年次有給休暇は", "The pump is")


@dataclass(frozen=True)
class Stage:
    """A host, the name of its base model, and the size of that model's first layer."""

    host: AdapterHost
    base: str
    width: int
    out: int

    def adapter(self, path: Path, strength: float) -> Weights:
        return write_adapter(path, strength, width=self.width, out=self.out)


@pytest.fixture(params=["memory", "vllm"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    if request.param == "memory":
        yield Stage(MemoryAdapterHost(), "base", 8, 8)
        return
    url = os.environ.get("KIBAN_TEST_VLLM")
    if not url:
        pytest.skip("KIBAN_TEST_VLLM names no running vLLM")
    listed = httpx.get(f"{url}/v1/models").json()["data"]
    base = next(model for model in listed if not model["parent"])
    config = json.loads((Path(base["root"]) / "config.json").read_text("utf-8"))
    head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    host = VllmAdapters([url])
    yield Stage(host, base["id"], config["hidden_size"], config["num_attention_heads"] * head)
    for name in host.adapters():
        if name.startswith("contract-"):
            httpx.post(f"{url}/v1/unload_lora_adapter", json={"lora_name": name})
    host.close()


def test_a_loaded_adapter_is_listed_and_the_base_model_is_not_an_adapter(
    stage: Stage, tmp_path: Path
) -> None:
    source = stage.adapter(tmp_path / "a", 0.5)
    stage.host.load("contract-a@1", source.path)
    assert "contract-a@1" in stage.host.adapters()
    assert stage.base not in stage.host.adapters()


def test_loading_again_what_is_loaded_changes_nothing(stage: Stage, tmp_path: Path) -> None:
    source = stage.adapter(tmp_path / "a", 0.5)
    stage.host.load("contract-b@1", source.path)
    stage.host.load("contract-b@1", source.path)
    assert "contract-b@1" in stage.host.adapters()


def test_a_name_never_changes_its_content(stage: Stage, tmp_path: Path) -> None:
    stage.host.load("contract-c@1", stage.adapter(tmp_path / "a", 0.5).path)
    with pytest.raises(BadWeights):
        stage.host.load("contract-c@1", stage.adapter(tmp_path / "b", 0.7).path)


def test_a_folder_that_holds_no_adapter_is_refused(stage: Stage, tmp_path: Path) -> None:
    with pytest.raises(BadWeights):
        stage.host.load("contract-d@1", tmp_path / "nothing")
    assert "contract-d@1" not in stage.host.adapters()


def test_a_cut_file_is_refused(stage: Stage, tmp_path: Path) -> None:
    source = stage.adapter(tmp_path / "a", 0.5)
    file = source.path / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(BadWeights):
        stage.host.load("contract-e@1", source.path)


def test_log_probabilities_are_finite_negative_and_repeatable(stage: Stage) -> None:
    first, second = (stage.host.logprobs(stage.base, PROMPTS) for _ in range(2))
    assert len(first) == len(PROMPTS)
    assert all(math.isfinite(value) and value <= 0 for tokens in first for value in tokens)
    assert [len(tokens) for tokens in first] == [len(tokens) for tokens in second]
    assert (
        max(abs(a - b) for x, y in zip(first, second, strict=True) for a, b in zip(x, y, strict=True)) < 0.1
    )


def test_an_unknown_model_is_an_error_and_not_the_base_model(stage: Stage) -> None:
    with pytest.raises(PartUnavailable):
        stage.host.logprobs("contract-nobody@1", PROMPTS)


def test_a_real_adapter_is_deployed_and_one_that_changes_nothing_is_caught(
    stage: Stage, tmp_path: Path
) -> None:
    place = {"verify": Weights.of, "shelf": tmp_path / "shelf", "base_model": stage.base}
    real = deploy("contract-f", stage.adapter(tmp_path / "a", 0.5), stage.host, **place)
    assert real.effect > 0.01
    with pytest.raises(NoEffect):
        deploy("contract-g", stage.adapter(tmp_path / "b", 0.0), stage.host, **place)
