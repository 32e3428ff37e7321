"""A Hugging Face folder → the same model in eight bits, in compressed-tensors' layout, which vLLM serves.

Weights of the linear layers inside the blocks become int8 with one scale per output channel, rounded to the
nearest; what enters them is rounded by vLLM as it comes, token by token (W8A8, symmetric). No example
is needed, so nothing restricted can settle in the scales. Embeddings, norms and the output layer stay.
Layout: https://github.com/neuralmagic/compressed-tensors, format "int-quantized".
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from kiban.domain.learning import NOT_WEIGHTS
from kiban.errors import BadWeights
from kiban.ports import Progress

LINEAR = re.compile(r"model\.layers\.\d+\.(?:self_attn|mlp)\.\w+_proj\.weight")
INDEX = "model.safetensors.index.json"
LARGEST = 127


@dataclass(frozen=True, slots=True)
class Shrunk:
    """What became of a model."""

    bytes_before: int
    bytes_after: int
    layers: int  # matrices that were rounded
    error: float  # of them, root mean square, as a share of their own


def shrink(source: Path, out: Path, progress: Progress) -> Shrunk:
    """Write the rounded model beside everything else of its folder into `out`, an empty folder.

    Raises BadWeights for a folder that holds no such layers, or is rounded already.
    """
    config = _config(source)
    files = sorted(source.glob("*.safetensors"))
    names = [name for file in files for name in _names(file)]
    linear = [name for name in names if LINEAR.fullmatch(name)]
    if not linear:
        raise BadWeights(f"{source} holds no layers of a kind that can be rounded.")
    before = after = done = 0
    noise = signal = 0.0
    index: dict[str, str] = {}
    for file in files:
        tensors: dict[str, torch.Tensor] = {}
        for name, value in _tensors(file):
            before += value.nbytes
            if LINEAR.fullmatch(name):
                rounded, scale = by_channel(value)
                noise += float((rounded.float() * scale.float() - value.float()).square().sum())
                signal += float(value.float().square().sum())
                tensors |= {name: rounded, f"{name}_scale": scale}
                progress(done := done + 1, len(linear), "round")
            else:
                tensors[name] = value
        after += sum(value.nbytes for value in tensors.values())
        index |= dict.fromkeys(tensors, file.name)
        save_file(tensors, out / file.name, metadata={"format": "pt"})
    _copy_the_rest(source, out)
    if (source / INDEX).exists():
        _write(out / INDEX, {"metadata": {"total_size": after}, "weight_map": index})
    _write(out / "config.json", config | {"quantization_config": _scheme()})
    return Shrunk(before, after, len(linear), (noise / signal) ** 0.5)


def by_channel(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return int8 [outputs, inputs] and the scales [outputs, 1] by which it is multiplied, in bfloat16.

    Rounding is done with the scale as it will be read, so that its own rounding costs nothing more.
    """
    values = weight.float()
    scale = (values.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / LARGEST).to(torch.bfloat16)
    rounded = (values / scale.float()).round().clamp(-LARGEST, LARGEST)
    return rounded.to(torch.int8), scale


def _scheme() -> dict[str, Any]:
    shared = {"num_bits": 8, "type": "int", "symmetric": True, "group_size": None, "block_structure": None}
    weights = shared | {"strategy": "channel", "dynamic": False, "observer": "minmax"}
    inputs = shared | {"strategy": "token", "dynamic": True, "observer": None}
    group = {
        "targets": ["Linear"],
        "weights": weights,
        "input_activations": inputs,
        "output_activations": None,
    }
    return {
        "quant_method": "compressed-tensors",
        "format": "int-quantized",
        "quantization_status": "compressed",
        "config_groups": {"group_0": group},
        "ignore": ["lm_head"],
        "kv_cache_scheme": None,
    }


def _config(source: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((source / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadWeights(f"{source} has no readable config.json.") from error
    if "quantization_config" in config:
        raise BadWeights(f"{source} is rounded already.")
    return config


def _names(file: Path) -> list[str]:
    with safe_open(file, framework="pt") as held:
        return list(held.keys())


def _tensors(file: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield one tensor at a time: a model may be larger than what is free."""
    with safe_open(file, framework="pt") as held:
        for name in held.keys():
            yield name, held.get_tensor(name)


def _copy_the_rest(source: Path, out: Path) -> None:
    kept_apart = {"config.json", INDEX, *NOT_WEIGHTS}
    for file in source.iterdir():
        if file.is_file() and file.suffix != ".safetensors" and file.name not in kept_apart:
            shutil.copyfile(file, out / file.name)


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
