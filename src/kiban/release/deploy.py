"""Bring adapters to the servers: copied to a place that never changes, loaded, and shown to change something.

A server that accepts an adapter has proven nothing: vLLM answers 200 for one that matches no layer, and then
answers as the base model. So an adapter counts as deployed when its log-probabilities of some prompts differ
from the base model's. Names and paths carry the hash of the content and are never used for other content;
nothing is loaded in place and nothing is unloaded: going back is routing.
"""

from __future__ import annotations

import math
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from kiban.domain.learning import Weights
from kiban.domain.release import Release, ServedAdapter
from kiban.errors import BadWeights, KibanError, NoEffect, PartUnavailable
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
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


Verify = Callable[[Path], Weights]  # names a folder by its content; raises BadWeights for what none may serve


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
    verify: Verify,
    shelf: Path,
    base_model: str,
    canaries: Sequence[str] = CANARIES,
) -> Deployed:
    """Put an adapter on the shelf, load it everywhere, and prove that it changes what the model says.

    Safe to repeat. Raises BadWeights for content that is not what its hash says, that `verify` refuses or
    that a server cannot read, NoEffect when nothing changes, PartUnavailable when a server does not answer.
    """
    if not _LABEL.fullmatch(label):
        raise BadWeights(f"“{label}” cannot be a name; letters, digits, “.”, “_” and “-” can.")
    name = f"{label}@{source.sha256[:8]}"
    weights = shelve(source, shelf / name, verify)
    _load(host, name, weights.path)
    return Deployed(name, weights, prove_effect(host, name, base_model, canaries))


def converge(
    release: Release, host: AdapterHost, *, base_model: str, canaries: Sequence[str] = CANARIES
) -> bool:
    """Make sure that every server holds all adapters of a release, and applies each: a restarted one forgot
    them, a listed one may be ignored. Return whether any had to be loaded.

    One that fails does not keep the others from their servers; then the first error is raised: BadWeights
    when the shelf holds other content than the release says, NoEffect, PartUnavailable.
    """
    loaded, errors = False, list[KibanError]()
    for adapter in release.adapters:
        try:
            loaded |= _converge(adapter, host, base_model, canaries)
        except (BadWeights, NoEffect, PartUnavailable) as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return loaded


def _converge(adapter: ServedAdapter, host: AdapterHost, base_model: str, canaries: Sequence[str]) -> bool:
    missing = adapter.name not in host.adapters()
    if missing:
        weights = _named(Weights.of(Path(adapter.path)), adapter.sha256)
        _load(host, adapter.name, weights.path)
    prove_effect(host, adapter.name, base_model, canaries)
    return missing


def shelve(source: Weights, place: Path, verify: Verify) -> Weights:
    """Copy weights to their immutable, read-only place, unless they are there; verify what is there.

    Raises BadWeights.
    """
    _named(verify(source.path), source.sha256)
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        half = Path(tempfile.mkdtemp(prefix=".half-", dir=place.parent))
        shutil.copytree(source.path, half, dirs_exist_ok=True)
        _settle(half, place)
    return _named(Weights.of(place), source.sha256)


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


def _named(weights: Weights, sha256: str) -> Weights:
    """Refuse weights that are not what their name says."""
    if weights.sha256 != sha256:
        raise BadWeights(f"{weights.path} has the hash {weights.sha256[:12]}…, not {sha256[:12]}….")
    return weights


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
