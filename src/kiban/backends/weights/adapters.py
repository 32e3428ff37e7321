"""Is this folder a LoRA adapter for that base, and nothing else?

Adapters are loaded into a running server, so anything that could run code, change the base silently
or break the server is refused before.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from kiban.domain.learning import Weights
from kiban.errors import BadWeights

if TYPE_CHECKING:  # takes seconds to import, and most who import this module verify nothing
    import torch

HARMLESS = {".safetensors", ".json", ".jinja", ".md", ".txt"}
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
# Whatever makes a LoRA more than two low-rank matrices per layer; each must be absent, empty or false.
EXTRAS = (
    "alora_invocation_tokens",
    "alpha_pattern",
    "auto_mapping",
    "fan_in_fan_out",
    "layer_replication",
    "lora_bias",
    "modules_to_save",
    "rank_pattern",
    "target_parameters",
    "trainable_token_indices",
    "use_dora",
    "use_qalora",
)


def verify_adapter(path: Path, base: Path, max_rank: int = 64) -> Weights:
    """Return the adapter's name by content if it is a plain or rank-stabilised LoRA that fits `base`.

    Raises BadWeights for links, pickles and foreign files, any other kind of adapter, a rank above
    `max_rank`, and tensors that are not finite or do not fit the base's layers.
    """
    weights = Weights.of(path)
    for file in path.rglob("*"):
        if file.is_file() and file.suffix not in HARMLESS:
            raise BadWeights(f"{file.name} is not safetensors, JSON or text.")
        if file.suffix == ".json" and "auto_map" in _json(file):
            raise BadWeights(f"{file.name} asks for code to be loaded (auto_map).")
    rank = _rank(_json(path / CONFIG), max_rank)
    _verify_tensors(path / WEIGHTS, rank, _linear_layers(base))
    return weights


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadWeights(f"{path.name} is missing or not JSON: {error}") from error
    if not isinstance(content, dict):
        raise BadWeights(f"{path.name} is not a JSON object.")
    return content


def _rank(config: dict[str, Any], max_rank: int) -> int:
    if config.get("peft_type") != "LORA" or config.get("bias", "none") != "none":
        raise BadWeights(f"{config.get('peft_type')} with bias {config.get('bias')} is not plain LoRA.")
    if extras := [name for name in EXTRAS if config.get(name)]:
        raise BadWeights(f"Not a plain LoRA: {', '.join(extras)}.")
    if config.get("init_lora_weights", True) not in (True, "gaussian"):
        raise BadWeights(f"init_lora_weights={config['init_lora_weights']!r} may have changed the base.")
    rank = config.get("r")
    if not isinstance(rank, int) or not 1 <= rank <= max_rank:
        raise BadWeights(f"Rank {rank} is not between 1 and {max_rank}.")
    return rank


def _linear_layers(base: Path) -> dict[str, tuple[int, ...]]:
    """Return the base's matrices: module name -> (outputs, inputs)."""
    layers = {}
    for file in base.glob("*.safetensors"):
        with safe_open(file, "np") as tensors:
            for name in tensors.keys():
                layers[name.removesuffix(".weight")] = tuple(tensors.get_slice(name).get_shape())
    if not layers:
        raise BadWeights(f"The base {base} holds no safetensors.")
    return layers


def _verify_tensors(path: Path, rank: int, layers: dict[str, tuple[int, ...]]) -> None:
    try:
        with safe_open(path, "pt") as tensors:
            names = set(tensors.keys())
            if not names:
                raise BadWeights(f"{path.name} holds no tensor.")
            for name in names:
                _verify_tensor(name, tensors.get_tensor(name), rank, layers)
    except (OSError, SafetensorError) as error:
        raise BadWeights(f"{path.name} is not a readable safetensors file: {error}") from error


def _verify_tensor(name: str, tensor: torch.Tensor, rank: int, layers: dict[str, tuple[int, ...]]) -> None:
    module, _, factor = name.removeprefix("base_model.model.").removesuffix(".weight").rpartition(".")
    shape = layers.get(module, ())
    expected = {"lora_A": (rank, *shape[1:]), "lora_B": (*shape[:1], rank)}.get(factor)
    if len(shape) != 2 or tuple(tensor.shape) != expected:
        raise BadWeights(f"{name} {tuple(tensor.shape)} does not fit the base, which has {shape}.")
    if not tensor.isfinite().all():
        raise BadWeights(f"{name} holds numbers that are not finite.")
