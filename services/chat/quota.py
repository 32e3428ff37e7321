"""How much one person may ask for, and how much is written at once."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from threading import RLock
from typing import Any

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from kiban.domain.access import Principal
from kiban.domain.question import (
    EVERYTHING,
    NO_TOOLS,
    PROSE,
    Answer,
    Form,
    Scope,
    Tools,
    Turn,
)
from kiban.errors import KibanError
from kiban.settings import Settings
from services.chat.house import ChatHouse


class TooMany(KibanError):
    """You have asked for so much in the last minute that others would wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Ask again in {math.ceil(seconds)} s.")
        self.retry_after = math.ceil(seconds)


class Busy(KibanError):
    """As many answers are being written as this service can write at once."""


class Place:
    """One of the answers under way. It is free again when it is told so, or when nobody holds it any more."""

    def __init__(self, taken: Counter[str], subject: str, lock: RLock) -> None:
        self._taken, self._subject, self._lock = taken, subject, lock
        self._held = True
        taken[subject] += 1

    def free(self) -> None:
        with self._lock:
            if self._held:
                self._taken[self._subject] -= 1
            self._held = False

    __del__ = free


class Quota:
    """Counted in this process and per person, so that nobody's asking is felt by others more than it must."""

    def __init__(
        self, requests: int = 600, answers: int = 60, at_once: int = 64, each_at_once: int = 16
    ) -> None:
        """`requests` and `answers` of one person in a minute; answers under way, `at_once` for all and
        `each_at_once` for one person, who could otherwise take every place by not reading."""
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(requests, namespace="requests")
        self._answers = RateLimitItemPerMinute(answers, namespace="answers")
        self._at_once = at_once
        self._each = each_at_once
        self._taken: Counter[str] = Counter()  # places, by person
        self._lock = RLock()

    @classmethod
    def of(cls, settings: Settings) -> Quota:
        return cls(
            settings.requests_per_minute,
            settings.answers_per_minute,
            settings.answers_at_once,
            settings.answers_at_once_each,
        )

    def request(self, who: Principal) -> None:
        """Count a request. Raises TooMany."""
        self._count(self._requests, who)

    def answer(self, who: Principal) -> Place:
        """Count an answer, which costs a model's time, and give it a place. Raises TooMany, or Busy for what
        cannot begin now."""
        with self._lock:
            if self._taken.total() >= self._at_once:
                raise Busy
            if self._taken[who.subject] >= self._each:
                raise TooMany(1)
            self._count(self._answers, who)
            return Place(self._taken, who.subject, self._lock)

    async def writing(
        self, answering: AsyncIterator[str | Answer], place: Place
    ) -> AsyncIterator[str | Answer]:
        """Pass an answer on, and free its place at the end."""
        try:
            async with aclosing(answering):  # type: ignore[type-var]
                async for piece in answering:
                    yield piece
        finally:
            place.free()

    def _count(self, item: RateLimitItemPerMinute, who: Principal) -> None:
        if not self._limiter.hit(item, who.subject):
            free_at = self._limiter.get_window_stats(item, who.subject).reset_time
            raise TooMany(max(free_at - time.time(), 1.0))


class Bounded:
    """A ChatHouse that answers within a quota, whichever door is asked at."""

    def __init__(self, house: ChatHouse, quota: Quota) -> None:
        self._house = house
        self._quota = quota

    def answer(
        self,
        question: str,
        history: Sequence[Turn],
        who: Principal,
        form: Form = PROSE,
        scope: Scope = EVERYTHING,
        tools: Tools = NO_TOOLS,
    ) -> AsyncIterator[str | Answer]:
        """Raises TooMany or Busy."""
        place = self._quota.answer(who)
        return self._quota.writing(self._house.answer(question, history, who, form, scope, tools), place)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._house, name)
