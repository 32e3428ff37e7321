"""Attacks on the parsers by what they are given to read (D1 bombs, D2 entities, D5 damage)."""

from __future__ import annotations

import os
import random
import time
from dataclasses import replace
from pathlib import Path

from kiban.backends.parsers.jail import USUAL, JailedParser
from kiban.bench.attacks import Figure
from kiban.bench.attacks.bombs import BOMBS
from kiban.bench.attacks.entities import Listener, hostile_references
from kiban.bench.attacks.mutants import mutated, seeds
from kiban.bench.attacks.stage import Stage
from kiban.domain.access import NOBODY
from kiban.domain.document import ParsedDocument, SourceFile
from kiban.errors import DocumentError, HostileFile

_FLAT = 64.0  # MB by which the parent may grow over all bombs: replies and the bombs' own making
_CONTROL = b"# control\n\nstill read\n"
_SEED = 20_260_701
_JAILED = ("died", "not read within", "CPU", "memory", "of text")  # what a limit says when it is met
_FUZZ = replace(USUAL, cpu_seconds=10.0, wall_seconds=60.0)


def bombs(stage: Stage) -> Figure:
    """D1: every bomb is refused or read within the limits, the parent stays small, the next file is read."""
    stood, slowest, worker, died = 0, 0.0, 0, 0
    failed: list[str] = []
    with JailedParser() as parser:
        _written(stage.folder / "control.md", _CONTROL)
        for name, make in BOMBS.items():
            path = stage.folder / name
            path.write_bytes(make())
            before, began = _resident(), time.monotonic()
            outcome = _outcome(parser, path)
            slowest = max(slowest, time.monotonic() - began)
            worker = max(worker, parser.memory())
            died += any(word in outcome for word in _JAILED)
            control = _outcome(parser, stage.folder / "control.md")
            if control == "read" and not outcome.startswith("!") and _resident() - before < _FLAT:
                stood += 1
            else:
                failed.append(f"{name}: {outcome}, then {control}, parent +{_resident() - before:.0f} MB")
            path.unlink()
    return Figure(
        id="D1",
        what="bombs: zip, office, PDF, XML, JSON, pictures, mail",
        value=f"{stood} / {len(BOMBS)} contained, {died} by the jail, slowest {slowest:.1f} s",
        aim=f"all contained, parent flat (< {_FLAT:.0f} MB), next file read",
        passed=stood == len(BOMBS),
        trials=len(BOMBS),
        note="; ".join(failed) or f"worker's peak {worker / 2**20:.0f} MB; none outlived the clock",
    )


def entities(stage: Stage) -> Figure:
    """D2: no file is read and nobody is called for the sake of a reference in a document."""
    secret = stage.folder / "secret.txt"
    secret.write_text("canary-2718281828")
    leaked: list[str] = []
    with Listener() as listener, JailedParser() as parser:
        files = hostile_references(secret, listener.port)
        for name, content in files.items():
            path = stage.folder / name
            path.write_bytes(content)
            try:
                document = parser.parse(_file(path))
            except DocumentError:
                continue
            leaked += [name] if "canary" in _all(document) else []
        calls = listener.calls()
    return Figure(
        id="D2",
        what="external entities and references: file:, http:, parameter",
        value=f"{len(leaked)} reads, {calls} requests",
        aim="0 reads, 0 requests",
        passed=not leaked and not calls,
        trials=len(files),
        note=", ".join(leaked),
    )


def fuzz(stage: Stage) -> Figure:
    """D5: of damaged files none hangs, and none costs another file its turn."""
    trials = stage.size(5000, least=100)
    chance = random.Random(_SEED)
    originals = seeds()
    path = stage.folder / "control.md"
    path.write_bytes(_CONTROL)
    read = refused = died = hung = lost = 0
    with JailedParser(_FUZZ) as parser:
        for _ in range(trials):
            name, content = mutated(chance, originals)
            outcome = _outcome(parser, _written(stage.folder / name, content))
            read += outcome == "read"
            hung += "not read within" in outcome
            died += any(word in outcome for word in _JAILED)
            refused += outcome.startswith("refused")
            lost += outcome.startswith("!")
            if outcome != "read" and _outcome(parser, path) != "read":
                lost += 1
    return Figure(
        id="D5",
        what=f"files damaged by seed {_SEED}: {', '.join(sorted(originals))}",
        value=f"{hung} hangs, {lost} lost",
        aim="0 hangs, 0 lost",
        passed=not hung and not lost,
        trials=trials,
        note=f"{read} read all the same, {refused} refused, {died} took their worker along",
    )


def _outcome(parser: JailedParser, path: Path) -> str:
    try:
        parser.parse(_file(path))
    except HostileFile as refusal:
        return f"hostile: {refusal.detail}"
    except DocumentError as refusal:
        return f"refused: {refusal.detail}"
    except Exception as error:  # boundary: what gets this far would have stopped an ingest
        return f"! {type(error).__name__}: {error}"
    return "read"


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _file(path: Path) -> SourceFile:
    return SourceFile(path.name, path, path.stat().st_size, "", NOBODY)


def _all(document: ParsedDocument) -> str:
    return "\n".join(
        [document.title, document.text, *(section.place.heading for section in document.sections)]
    )


def _resident() -> float:
    """Return MB of memory this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
