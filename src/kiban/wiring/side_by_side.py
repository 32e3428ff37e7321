"""One thing done for many names, so that one of them that hangs or fails keeps no other waiting."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Generic, TypeVar

from kiban.errors import KibanError, PartUnavailable

AT_ONCE = 8  # as many as Postgres lends connections
T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """How it ended for one name: with a result, or with an error."""

    name: str
    result: T | None = None
    error: Exception | None = None


class Failures:
    """What went wrong in things that do not depend on each other, told when all of them are done."""

    def __init__(self) -> None:
        self._errors: list[Exception] = []

    def add(self, error: Exception | None) -> None:
        if error is not None:
            self._errors.append(error)

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Keep what the block raises on purpose, and go on behind it."""
        try:
            yield
        except KibanError as error:
            self.add(error)

    def tell(self) -> None:
        """Raise the first error, if there is one; the others are logged."""
        for error in self._errors[1:]:
            log.error("%s", error, exc_info=error)
        if self._errors:
            raise self._errors[0]


def side_by_side(
    do: Callable[[str], T],
    names: Iterable[str],
    seconds: Callable[[str], float],
    *,
    at_once: int = AT_ONCE,
) -> Iterator[Outcome[T]]:
    """Yield how it ended for each name, as they end.

    One that takes longer than `seconds` of its name ends with PartUnavailable, and the next begins in its
    place. Nothing can stop a thread that waits for somebody else's server, so it is left behind, and ends
    with the process; what it does is cut off there as by a kill, which every transaction of ours bears.
    """
    return _Crew(do, names, seconds).outcomes(at_once)


class _Crew(Generic[T]):
    """Threads that take one name after another."""

    def __init__(self, do: Callable[[str], T], names: Iterable[str], seconds: Callable[[str], float]) -> None:
        self._do = do
        self._seconds = seconds
        self._waiting = deque(names)
        self._running: dict[str, float] = {}  # until when it may
        self._ended: SimpleQueue[Outcome[T]] = SimpleQueue()
        self._lock = Lock()

    def outcomes(self, at_once: int) -> Iterator[Outcome[T]]:
        left = len(self._waiting)
        for _ in range(min(at_once, left)):
            self._hire()
        while left:
            try:
                outcomes = [self._ended.get(timeout=self._patience())]
            except Empty:
                outcomes = self._given_up()
            for outcome in outcomes:
                left -= 1
                yield outcome

    def _hire(self) -> None:
        # Not concurrent.futures, whose threads the interpreter waits for when it ends.
        Thread(target=copy_context().run, args=(self._work,), name="side by side", daemon=True).start()

    def _work(self) -> None:
        while (name := self._next()) is not None:
            try:
                outcome = Outcome(name, self._do(name))
            except Exception as error:  # boundary of a thread: handed to who waits for it
                outcome = Outcome(name, error=error)
            with self._lock:
                if self._running.pop(name, None) is None:
                    return  # given up meanwhile, and somebody works in this one's place
                self._ended.put(outcome)

    def _next(self) -> str | None:
        with self._lock:
            if not self._waiting:
                return None
            name = self._waiting.popleft()
            self._running[name] = time.monotonic() + self._seconds(name)
            return name

    def _patience(self) -> float:
        with self._lock:
            now = time.monotonic()
            return max(0.0, min(self._running.values(), default=now + 0.05) - now)

    def _given_up(self) -> list[Outcome[T]]:
        with self._lock:
            now = time.monotonic()
            late = [name for name, until in self._running.items() if until <= now]
            for name in late:
                del self._running[name]
        for _ in late:
            self._hire()
        return [Outcome(name, error=self._too_late(name)) for name in late]

    def _too_late(self, name: str) -> PartUnavailable:
        return PartUnavailable(f"{name} was not done within {self._seconds(name):g} s.")
