"""Bring adapters to the servers: copied to a place that never changes, loaded, and shown to change something.

A server that accepts an adapter has proven nothing: vLLM answers 200 for one that matches no layer, and then
answers as the base model. So an adapter counts as deployed when its log-probabilities of some prompts differ
from the base model's. Names and paths carry the hash of the content and are never used for other content;
nothing is loaded in place and nothing is unloaded: going back is routing.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from kiban.domain.learning import Weights
from kiban.domain.release import Release
from kiban.errors import BadWeights, NoEffect
from kiban.ports import AdapterHost

CANARIES = (
    "就業規則によると、年次有給休暇は",
    "質問: 出張旅費の上限はいくらですか。\n回答:",
    "資料に記載がない場合は、",
    "次の資料だけを根拠に、引用を付けて答えてください。",
    "According to the maintenance manual, the filter is replaced every",
    "Question: Who approves overtime?\nAnswer:",
)
LEAST_EFFECT = 0.001  # nats per token on average; a real adapter changes more than a hundred times this
NOISE_MARGIN = 3.0  # times what the base model differs from itself
_PLAIN = {"use_dora", "lora_bias", "use_qalora", "use_bdlora", "layer_replication", "modules_to_save",
          "alora_invocation_tokens", "trainable_token_indices", "target_parameters"}  # fmt: skip
_PLAIN_INITS = (True, False, "gaussian")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SUFFIXES = {".safetensors", ".json", ".md", ".txt", ".jinja"}
_FILES = {"adapter_config.json", "adapter_model.safetensors"}


@dataclass(frozen=True, slots=True)
class Deployed:
    """An adapter every server holds and applies."""

    name: str  # immutable: "<label>@<first 8 digits of the hash>"
    weights: Weights  # on the shelf
    effect: float  # mean absolute change of log-probability, nats per token


def deploy(
    label: str,
    source: Weights,
    host: AdapterHost,
    *,
    shelf: Path,
    base_model: str,
    canaries: Sequence[str] = CANARIES,
) -> Deployed:
    """Put an adapter on the shelf, load it everywhere, and prove that it changes what the model says.

    Safe to repeat. Raises BadWeights for content that is not what its hash says or that vLLM would refuse
    or misread, NoEffect when nothing changes, PartUnavailable when a server does not answer.
    """
    if not _LABEL.fullmatch(label):
        raise BadWeights(f"“{label}” cannot be a name; letters, digits, “.”, “_” and “-” can.")
    name = f"{label}@{source.sha256[:8]}"
    weights = shelve(source, shelf / name)
    _load(host, name, weights.path)
    return Deployed(name, weights, prove_effect(host, name, base_model, canaries))


def converge(
    release: Release, host: AdapterHost, *, base_model: str, canaries: Sequence[str] = CANARIES
) -> bool:
    """Load the release's adapter again where a restarted server forgot it; True when it had to be loaded.

    Raises what `deploy` raises.
    """
    if release.adapter is None or release.adapter in host.adapters():
        return False
    weights = _verified(Path(release.adapter_path or ""), release.adapter_sha256 or "")
    _load(host, release.adapter, weights.path)
    prove_effect(host, release.adapter, base_model, canaries)
    return True


def shelve(source: Weights, place: Path) -> Weights:
    """Copy weights to their immutable, read-only place, unless they are there; verify what is there.

    Raises BadWeights.
    """
    _check_adapter(source.path)
    if not place.exists():
        _verified(source.path, source.sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        half = Path(tempfile.mkdtemp(prefix=".half-", dir=place.parent))
        shutil.copytree(source.path, half, dirs_exist_ok=True)
        _settle(half, place)
    return _verified(place, source.sha256)


def prove_effect(host: AdapterHost, name: str, base_model: str, canaries: Sequence[str]) -> float:
    """Return how much the adapter changes, in nats per token. Raises NoEffect or BadWeights.

    Every prompt has to change, on every server: one that ignores the adapter must not hide among others.
    """
    base, again, adapted = (host.logprobs(model, canaries) for model in (base_model, base_model, name))
    if not all(math.isfinite(value) for prompt in adapted for value in prompt):
        raise BadWeights(f"{name} gives probabilities that are not numbers")
    effects, noise = _distances(base, adapted), max(_distances(base, again))
    if min(effects) <= max(LEAST_EFFECT, NOISE_MARGIN * noise):
        raise NoEffect(f"{name} moves a prompt by {min(effects):.5f} nats, the base itself by {noise:.5f}.")
    return fmean(effects)


def _load(host: AdapterHost, name: str, path: Path) -> None:
    if name not in host.adapters():
        host.load(name, path)
    if name not in host.adapters():
        raise NoEffect(f"The server accepted {name} but does not list it.")


def _distances(one: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> list[float]:
    """Return each prompt's mean absolute difference, in nats per token."""
    return [
        fmean(abs(left - right) for left, right in zip(*prompts, strict=True))
        for prompts in zip(one, other, strict=True)
    ]


def _verified(path: Path, sha256: str) -> Weights:
    found = Weights.of(path)
    if found.sha256 != sha256:
        raise BadWeights(f"{path} has the hash {found.sha256[:12]}…, not {sha256[:12]}….")
    return found


def _check_adapter(path: Path) -> None:
    """Refuse what vLLM would reject, or read differently from how it was trained."""
    if odd := sorted(p.name for p in path.rglob("*") if p.is_file() and p.suffix not in _SUFFIXES):
        raise BadWeights(f"{path} holds {odd[0]}; only safetensors and text are allowed.")
    if missing := sorted(name for name in _FILES if not (path / name).is_file()):
        raise BadWeights(f"{path} lacks {', '.join(missing)}.")
    try:
        config = json.loads((path / "adapter_config.json").read_text("utf-8"))
    except ValueError as error:
        raise BadWeights(f"{path}/adapter_config.json is not JSON: {error}") from error
    if config.get("peft_type") != "LORA":
        raise BadWeights(f"{path} is of type {config.get('peft_type')}, not LORA.")
    if special := sorted(name for name in _PLAIN if config.get(name)):
        raise BadWeights(f"{path} uses {', '.join(special)}, which vLLM does not serve.")
    if config.get("init_lora_weights", True) not in _PLAIN_INITS:
        raise BadWeights(f"{path} was initialised as {config['init_lora_weights']}, which changes its base.")


def _settle(half: Path, place: Path) -> None:
    """Give a finished copy its name; of two processes with the same content, one keeps its copy."""
    _permit(half, directory=0o555, file=0o444)
    try:
        half.rename(place)
    except OSError:
        _permit(half, directory=0o755, file=0o644)
        shutil.rmtree(half)
        if not place.is_dir():
            raise


def _permit(folder: Path, *, directory: int, file: int) -> None:
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        path.chmod(directory if path.is_dir() else file)
    folder.chmod(directory)
