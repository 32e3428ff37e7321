"""Bring adapters to the servers: copied to a place that never changes, loaded, and shown to change something.

A server that accepts an adapter has proven nothing: vLLM answers 200 for one that matches no layer, and then
answers as the base model. So an adapter counts as deployed when its log-probabilities of some prompts differ
from the base model's, and are those it was judged with: what answers is what was judged. Names and paths
carry the hash of the content and are never used for other content; nothing is loaded in place and nothing is
unloaded: going back is routing.
"""

from __future__ import annotations

import math
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from kiban.domain.learning import Weights
from kiban.domain.release import Release, ServedAdapter
from kiban.errors import BadWeights, KibanError, NoEffect, NoParity, PartUnavailable
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
PARITY = 0.05  # nats per token by which a prompt may differ from what was judged
NOISE_MARGIN = 3.0  # times what the base model differs from itself
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


Probabilities = Sequence[Sequence[float]]  # of the tokens of each canary, as logarithms, in nats
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
    release: Release,
    host: AdapterHost,
    *,
    base_model: str,
    judged: Mapping[str, Probabilities] | None = None,
    canaries: Sequence[str] = CANARIES,
) -> bool:
    """Make sure that every server holds all adapters of a release, and applies each: a restarted one forgot
    them, a listed one may be ignored, another base model may stand beneath. Return whether any had to be
    loaded. `judged` holds, by the hash of an adapter, the probabilities it was judged with, where kept.

    One that fails does not keep the others from their servers; then the first error is raised: BadWeights
    when the shelf holds other content than the release says, NoEffect, NoParity, PartUnavailable.
    """
    loaded, errors = False, list[KibanError]()
    for adapter in release.adapters:
        try:
            loaded |= _resident(adapter, host)
            prove_effect(host, adapter.name, base_model, canaries)
            if known := (judged or {}).get(adapter.sha256):
                prove_parity(host, adapter.name, known, canaries)
        except (BadWeights, NoEffect, NoParity, PartUnavailable) as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return loaded


def keep_resident(releases: Iterable[Release], host: AdapterHost) -> int:
    """Load what releases one may return to need, so that returning is routing; return how many had to be.

    Nothing is proven here: whoever returns to one converges it. Raises BadWeights, NoEffect, PartUnavailable.
    """
    adapters = {adapter.name: adapter for release in releases for adapter in release.adapters}
    return sum(_resident(adapter, host) for adapter in adapters.values())


def _resident(adapter: ServedAdapter, host: AdapterHost) -> bool:
    """Load an adapter unless every server has it; return whether it had to be."""
    missing = adapter.name not in host.adapters()
    if missing:
        weights = _named(Weights.of(Path(adapter.path)), adapter.sha256)
        _load(host, adapter.name, weights.path)
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


def probabilities(host: AdapterHost, name: str, canaries: Sequence[str] = CANARIES) -> list[list[float]]:
    """Return what one server, the first, makes of the canaries: to be kept with what was judged."""
    return host.logprobs(name, canaries)[: len(canaries)]


def prove_parity(host: AdapterHost, name: str, judged: Probabilities, canaries: Sequence[str]) -> float:
    """Return how far the farthest prompt is from what was judged, on any server, in nats per token.

    Raises NoParity beyond PARITY, and when the prompts have other tokens than they had.
    """
    now = host.logprobs(name, canaries)
    before = [judged[at % len(judged)] for at in range(len(now))]  # each server answers every canary
    if [len(tokens) for tokens in now] != [len(tokens) for tokens in before]:
        raise NoParity(f"{name}: the canaries have other tokens than when it was judged.")
    farthest = max(_distances(before, now))
    if not farthest <= PARITY:  # nor NaN
        raise NoParity(f"{name} moves a prompt by {farthest:.5f} nats per token, {PARITY} are allowed.")
    return farthest


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
