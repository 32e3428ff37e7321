"""Starting parts in order, watching them come up, stopping them, and saying how they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from kiban.errors import PartUnavailable
from kiban.stack.health import Health, Probe

POLL = 0.2  # seconds between two questions to a part that is starting
GRACE = 20.0  # seconds a part may take to end in good order

State = Literal["found", "starting", "ready", "stopping", "stopped"]
Watch = Callable[["Part", State], None]
Hook = Callable[[], None]


class Runner(Protocol):
    """How a part is started and stopped here."""

    @property
    def log(self) -> Path: ...

    def start(self) -> None: ...

    def stop(self, grace: float) -> None: ...

    def pid(self) -> int | None: ...

    def memory(self) -> int: ...

    def last_words(self) -> str: ...


@dataclass(frozen=True)
class Part:
    """One part of the stack. Without a runner it is somebody else's, and only asked how it is."""

    name: str
    url: str
    probe: Probe
    runner: Runner | None = None
    needs: frozenset[str] = frozenset()
    patience: float = 60.0  # seconds until it must be ready
    outdated: Callable[[], bool] = lambda: False  # it runs, and has to be started anew: the settings changed

    @property
    def stands(self) -> bool:
        """Whether there is nothing to start here."""
        return self.runner is None or (self.runner.pid() is not None and not self.outdated())


@dataclass(frozen=True)
class PartStatus:
    """What `kiban status` says of one part. Memory in bytes, with all its processes."""

    name: str
    url: str
    ok: bool
    version: str
    detail: str
    ours: bool
    log: str
    pid: int | None
    memory: int


def up(parts: Sequence[Part], watch: Watch, prepare: Mapping[str, Hook] | None = None) -> None:
    """Bring every part up, each as soon as what it needs is ready; what stands already is left alone.

    `prepare` holds, by part, what to do once that part is ready and before what needs it starts.
    Raises PartRefused and PartUnavailable; parts that came up stay up.
    """
    waiting, starting, ready = list(parts), dict[str, float](), set[str]()
    while waiting or starting:
        for part in [part for part in waiting if part.needs <= ready]:
            waiting.remove(part)
            starting[part.name] = time.monotonic() + part.patience
            watch(part, _launch(part))
        for part in [part for part in parts if part.name in starting]:
            if part.probe().ok:
                (prepare or {}).get(part.name, _nothing)()
                del starting[part.name]
                ready.add(part.name)
                watch(part, "ready")
            else:
                _despair(part, starting[part.name])
        if starting:
            time.sleep(POLL)


def _nothing() -> None: ...


def _launch(part: Part) -> State:
    if part.runner is None or part.stands:
        return "found"
    if part.runner.pid() is not None:
        part.runner.stop(GRACE)
    part.runner.start()
    return "starting"


def _despair(part: Part, deadline: float) -> None:
    """Raise PartUnavailable if the part died, or is foreign, or took too long."""
    if part.runner is None:
        raise PartUnavailable(f"{part.name} at {part.url}: {part.probe().detail}")
    died = part.runner.pid() is None
    if died or time.monotonic() > deadline:
        what = "ended while it started" if died else f"was not ready within {part.patience:.0f} s"
        raise PartUnavailable(
            f"{part.name} {what}. Its log ends:\n{part.runner.last_words()}",
            mend=f"read {part.runner.log}, then run `kiban up` again",
        )


def down(parts: Sequence[Part], watch: Watch) -> None:
    """Stop every part that is ours, each after those that need it."""
    left = [part for part in parts if part.runner is not None and part.runner.pid() is not None]
    with ThreadPoolExecutor(8) as pool:
        while left:
            needed = frozenset[str]().union(*(part.needs for part in left))
            wave = [part for part in left if part.name not in needed]
            for part in wave:
                watch(part, "stopping")
            for part, _ in zip(wave, pool.map(_stop, wave), strict=True):
                watch(part, "stopped")
            left = [part for part in left if part not in wave]


def _stop(part: Part) -> None:
    if part.runner is not None:
        part.runner.stop(GRACE)


def survey(parts: Iterable[Part]) -> list[PartStatus]:
    """Ask every part at once how it is."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(_ask, parts))


def _ask(part: Part) -> PartStatus:
    health, runner = part.probe(), part.runner
    pid = runner.pid() if runner else None
    if runner is not None and pid is None:
        health = Health(False, detail="not running" if not health.ok else "not ours: another answers there")
    return PartStatus(
        name=part.name,
        url=part.url,
        ok=health.ok,
        version=health.version,
        detail=health.detail,
        ours=runner is not None,
        log=str(runner.log) if runner else "",
        pid=pid,
        memory=runner.memory() if runner else 0,
    )
