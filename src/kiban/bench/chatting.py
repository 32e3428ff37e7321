"""Our chat service beside its model server asked directly, and beside LiteLLM's proxy: in turns, in one run.

The model server writes at once, so that what is measured is what lies before it. One side is our service with
its search remembered, for what it costs without one; C1 and C2 are defined for that.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from kiban.bench import gateway
from kiban.bench.attacks.answering import QUESTION, SENTENCE
from kiban.bench.chat_process import chat_process
from kiban.bench.streams import Door, Load, load
from kiban.ports import Progress
from kiban.testing.model_process import model_process
from kiban.wiring.base import BASE_MODEL

WRITTEN = f"{'国内出張の宿泊費には上限があります。' * 20}「{SENTENCE}」[1]"  # 64 pieces
AT_ONCE = {1: 30, 16: 96, 64: 192}  # streams at once: of how many
DIRECT, STUBBED, OURS, LITELLM = "direct", "kiban without search", "kiban", "LiteLLM"


@dataclass(frozen=True, slots=True)
class Side:
    door: Door
    pid: int


@dataclass(frozen=True, slots=True)
class Cell:
    """One side under one load; seconds. Medians of rounds, but p99, which is over all streams."""

    side: str
    at_once: int
    first_p50: float
    first_p99: float
    whole_p50: float
    pieces_a_second: float
    streams: int
    failed: int


@dataclass(frozen=True, slots=True)
class Tax:
    """What one side adds to the first text over the direct way, one stream at a time: the median of rounds
    with its quartiles; seconds."""

    side: str
    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ChatFigures:
    cells: tuple[Cell, ...]
    taxes: tuple[Tax, ...]
    piece_ratio: float | None  # C2: seconds a piece, ours over LiteLLM's
    megabytes: dict[str, float]  # resident after all of it, with what it started
    rounds: int
    cores: int
    load_at_start: float
    versions: dict[str, str]


Rounds = dict[tuple[str, int], list[Load]]


def measure(litellm: Path | None, *, rounds: int, progress: Progress) -> ChatFigures:
    """Measure the sides in turns; without LiteLLM where its environment is not there."""
    load_at_start, found = os.getloadavg()[0], Rounds()
    with _sides(litellm) as sides:
        for side in sides:  # all are warm before one is timed
            load(side.door, QUESTION, at_once=2, count=10)
        todo = [(number, at_once) for number in range(rounds) for at_once in AT_ONCE]
        for done, (number, at_once) in enumerate(todo):
            for side in sides[number % len(sides) :] + sides[: number % len(sides)]:
                progress(done, len(todo), f"{side.door.name}, {at_once} at once")
                told = load(side.door, QUESTION, at_once=at_once, count=AT_ONCE[at_once])
                found.setdefault((side.door.name, at_once), []).append(told)
        megabytes = {side.door.name: _resident(side.pid) for side in sides}
        names = [side.door.name for side in sides]
    return ChatFigures(
        tuple(_cell(name, at_once, found[name, at_once]) for name in names for at_once in AT_ONCE),
        tuple(_tax(name, found) for name in names if name != DIRECT),
        _piece_ratio(found) if LITELLM in names else None,
        megabytes,
        rounds,
        os.cpu_count() or 0,
        load_at_start,
        {name: version(name) for name in ("fastapi", "uvicorn", "aiohttp", "psycopg")},
    )


@contextmanager
def _sides(litellm: Path | None) -> Iterator[list[Side]]:
    with ExitStack() as running:
        model = running.enter_context(model_process(WRITTEN))
        sides = [Side(Door(DIRECT, model.url, BASE_MODEL), model.process.pid)]
        for name, stub in ((STUBBED, True), (OURS, False)):
            chat = running.enter_context(chat_process(model.url, stub=stub))
            sides.append(Side(Door(name, chat.url, "kiban", chat.token), chat.pid))
        if litellm:
            proxy = running.enter_context(gateway.litellm(litellm, model.url, BASE_MODEL))
            sides.append(Side(Door(LITELLM, proxy.url, "kiban", gateway.KEY), proxy.pid))
        yield sides


def _cell(name: str, at_once: int, told: Sequence[Load]) -> Cell:
    every = Load(tuple(one for each in told for one in each.streams), 0, 1.0)
    if not every.streams:
        nothing = float("nan")
        return Cell(name, at_once, nothing, nothing, nothing, 0.0, 0, sum(each.failed for each in told))
    return Cell(
        name,
        at_once,
        _median(told, lambda each: each.first(50)),
        every.first(99),
        _median(told, lambda each: each.whole(50)),
        _median(told, lambda each: each.pieces_a_second),
        len(every.streams),
        sum(each.failed for each in told),
    )


def _median(told: Sequence[Load], of: Callable[[Load], float]) -> float:
    return statistics.median(of(each) for each in told if each.streams)


def _tax(name: str, found: Rounds) -> Tax:
    pairs = zip(found[name, 1], found[DIRECT, 1], strict=True)
    added = [ours.first(50) - direct.first(50) for ours, direct in pairs]
    low, median, high = statistics.quantiles(added, n=4, method="inclusive")
    return Tax(name, median, low, high)


def _piece_ratio(found: Rounds) -> float:
    pairs = zip(found[STUBBED, 1], found[LITELLM, 1], strict=True)
    return statistics.median(ours.between_pieces / theirs.between_pieces for ours, theirs in pairs)


def _resident(pid: int) -> float:
    """Return MB of a process and of those it started, but for Postgres, which has a figure of its own."""
    root = psutil.Process(pid)
    of = [root, *(child for child in root.children(recursive=True) if "postgres" not in child.name())]
    return sum(float(each.memory_info().rss) for each in of) / 1_000_000
