"""The course of one answer: which steps it went through, and how long each took. No word of it is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")
About = Mapping[str, str | int | float | bool]
_NOW: ContextVar[Course | None] = ContextVar("course", default=None)


@dataclass(frozen=True, slots=True)
class Step:
    """One step, in nanoseconds since 1970. `within` is the step it is a part of; "" for none."""

    name: str
    start: int
    end: int
    within: str = ""
    about: About = field(default_factory=dict)


@dataclass(slots=True)
class Course:
    """The steps so far, each noted when it ends."""

    began: int = field(default_factory=time.time_ns)
    steps: list[Step] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)

    def watched(self, work: Callable[[], T]) -> T:
        """Do some work, and note the steps it names. For a thread of its own."""
        _NOW.set(self)
        return work()

    @contextmanager
    def step(self, name: str, about: About) -> Iterator[None]:
        start, within = time.time_ns(), self._open[-1] if self._open else ""
        self._open.append(name)
        try:
            yield
        finally:
            self._open.pop()
            self.steps.append(Step(name, start, time.time_ns(), within, about))


@contextmanager
def step(name: str, **about: str | int | float | bool) -> Iterator[None]:
    """Note how long something takes, if anybody watches."""
    if (course := _NOW.get()) is None:
        yield
        return
    with course.step(name, about):
        yield


@dataclass(frozen=True, slots=True)
class Told:
    """The words of an answer from what everyone may read, without secrets and personal data."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Watched:
    """An answer at its end, for those who keep the service running."""

    course: Course
    ended: int  # nanoseconds since 1970, as the next
    first_text: int | None  # None when there was none
    asker: str  # keyed hashes, as in the record of answers
    question: str
    about: About  # release, numbers of passages and quotations, how it ended
    told: Told | None = None  # None for whatever not everyone may read
