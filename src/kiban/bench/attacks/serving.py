"""F3: releases are swapped under load, model servers die, hang and forget, Postgres goes away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from kiban.bench.attacks import Figure
from kiban.bench.attacks.answering import SILENCE, Answering, Received, answering
from kiban.bench.attacks.stage import Stage
from kiban.release import ledger as pile
from kiban.testing import Fault

REQUESTS = 400  # for each fault
LATE = 2.0  # seconds after the silence that is allowed


@dataclass(frozen=True, slots=True)
class Told:
    """What came of one fault."""

    what: str
    requests: int
    as_due: int  # that ended as they should

    def __str__(self) -> str:
        return f"{self.what} {self.as_due}/{self.requests}"


def model_faults(stage: Stage) -> Figure:
    """Ask under every fault, and count those who did not get what is due: an answer, or where none can be
    written what was found with a notice, or where nothing can be found 503 with the time to come again."""
    count = stage.size(REQUESTS, least=12)
    told, longest = list[Told](), 0.0
    with answering(stage) as house:
        with _swapping(house) as swaps:
            told.append(_told("swapped", house.ask_all(count), _answered))
        for fault in (Fault.BROKEN_ADAPTERS, Fault.FORGETFUL):
            house.servers[0].fault = fault
            told.append(_told(fault.name.lower(), house.ask_all(count), _answered))
        for fault in (Fault.CUTS, Fault.HANGS, Fault.SILENT):
            house.servers[0].fault = fault
            received = house.ask_all(count)
            told.append(_told(fault.name.lower(), received, _noticed))
            longest = max(longest, *(each.silence for each in received))
        house.servers[0].fault = Fault.NONE
        house.proxy.refuse()
        told.append(_told("postgres gone", house.ask_all(max(count // 4, 8)), _told_to_come_again))
        house.proxy.refuse(False)
        told.append(_told("postgres back", house.ask_all(max(count // 4, 8)), _answered))
    with answering(stage, servers=2) as house:
        house.releases.converge()
        house.servers[0].fault = Fault.SILENT
        told.append(_told("one of two hangs", house.ask_all(count), _answered))
    requests, failed = sum(one.requests for one in told), sum(one.requests - one.as_due for one in told)
    return Figure(
        "F3",
        "releases swapped under load; vLLM dies, hangs, forgets; Postgres goes",
        f"{failed} of {requests} failed; {len(swaps)} swaps; silent for {longest:.1f} s at most",
        f"0 failed; ≤ {LATE:.0f} s beyond the allowed {SILENCE:.0f} s of silence",
        failed == 0 and longest <= SILENCE + LATE,
        requests,
        ", ".join(map(str, told)),
    )


@contextmanager
def _swapping(house: Answering) -> Iterator[list[str]]:
    """Promote and roll back all the while; give what was done so far. At the end an adapter is in force."""
    releases, enough, swaps = [house.adapted(1), house.adapted(2)], threading.Event(), list[str]()

    def swap() -> None:
        while not enough.is_set():
            house.promote(releases[len(swaps) // 2 % 2])
            swaps.append("promoted")
            enough.wait(0.05)
            pile.rollback(house.furniture.ledger, actor="stage", reason="staged")
            swaps.append("rolled back")

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        yield swaps
    finally:
        enough.set()
        swapping.join()
        house.promote(releases[0])


def _told(what: str, received: Sequence[Received], as_due: Callable[[Received], bool]) -> Told:
    return Told(what, len(received), sum(map(as_due, received)))


def _answered(received: Received) -> bool:
    return received.answered


def _noticed(received: Received) -> bool:
    return received.shown_what_was_found


def _told_to_come_again(received: Received) -> bool:
    return received.status == 503 and received.retry_after.isdecimal()
