"""A model in eight bits is the same model but for rounding, in the layout that vLLM reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import make_tiny_model
from transformers import AutoModelForCausalLM

from kiban.backends.weights import find, int8, shrink
from kiban.errors import BadWeights


def progress(done: int, total: int, what: str) -> None:
    assert 0 < done <= total == 14


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("base"))


def test_every_layer_of_a_block_is_rounded_and_nothing_else(base: Path, tmp_path: Path) -> None:
    told = int8.shrink(base, tmp_path, progress)
    before, after = (load_file(folder / "model.safetensors") for folder in (base, tmp_path))
    rounded = {name for name, value in after.items() if value.dtype is torch.int8}
    assert (
        rounded == {name for name in before if "_proj.weight" in name} and len(rounded) == told.layers == 14
    )
    assert set(after) == set(before) | {f"{name}_scale" for name in rounded}
    assert all(torch.equal(after[name], before[name]) for name in before if name not in rounded)
    for name in rounded:
        scale = after[f"{name}_scale"].float()
        off = (after[name].float() * scale - before[name].float()).abs()
        assert scale.shape == (len(before[name]), 1) and (off <= 0.51 * scale + 1e-6).all()
    assert told.bytes_after < told.bytes_before and 0 < told.error < 0.02


def test_vllm_is_told_how_and_the_rest_of_the_folder_comes_along(base: Path, tmp_path: Path) -> None:
    int8.shrink(base, tmp_path, progress)
    config = json.loads((tmp_path / "config.json").read_text())
    scheme = config.pop("quantization_config")
    assert config == json.loads((base / "config.json").read_text())
    group = scheme["config_groups"]["group_0"]
    assert (scheme["quant_method"], scheme["format"]) == ("compressed-tensors", "int-quantized")
    assert (group["weights"]["strategy"], group["weights"]["num_bits"]) == ("channel", 8)
    assert (group["input_activations"]["strategy"], group["input_activations"]["dynamic"]) == ("token", True)
    assert scheme["ignore"] == ["lm_head"]
    assert {file.name for file in base.iterdir()} == {file.name for file in tmp_path.iterdir()}
    with pytest.raises(BadWeights, match="rounded already"):
        int8.shrink(tmp_path, tmp_path / "again", progress)


def test_what_it_would_say_moves_little(base: Path, tmp_path: Path) -> None:
    """With weights rounded as they will be read, and inputs as they are."""
    int8.shrink(base, tmp_path, progress)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    ids = torch.arange(5, 45).unsqueeze(0)
    with torch.no_grad():
        before = model(input_ids=ids).logits
        rounded = load_file(tmp_path / "model.safetensors")
        for name, value in model.named_parameters():
            if f"{name}_scale" in rounded:
                value.copy_(rounded[name].float() * rounded[f"{name}_scale"].float())
        after = model(input_ids=ids).logits
    assert 0 < (before - after).norm() / before.norm() < 0.02


def test_it_stands_on_the_shelf_under_a_name_of_its_own(base: Path, tmp_path: Path) -> None:
    weights = find(str(base), tmp_path, False, lambda *_: None)
    made, told = shrink(weights, tmp_path, progress)
    assert made.path.name == f"{base.name}-int8" and told.layers == 14
    assert find(f"{base.name}-int8", tmp_path, False, lambda *_: None, verify=True) == made
    again, _ = shrink(weights, tmp_path, progress)
    assert again == made


def test_a_folder_without_such_layers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BadWeights, match="no layers of a kind"):
        int8.shrink(tmp_path, tmp_path / "out", progress)
