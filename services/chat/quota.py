"""How much one person may ask for, and how much is written at once."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
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
from services.chat.house import ChatHouse


class TooMany(KibanError):
    """You have asked for so much in the last minute that others would wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Ask again in {math.ceil(seconds)} s.")
        self.retry_after = math.ceil(seconds)


class Busy(KibanError):
    """As many answers are being written as this service can write at once."""


class Quota:
    """Counted in this process and per person, so that nobody's asking is felt by others more than it must."""

    def __init__(self, requests: int = 600, answers: int = 60, at_once: int = 64) -> None:
        """`requests` and `answers` of one person in a minute; `at_once`, answers under way for all."""
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(requests, namespace="requests")
        self._answers = RateLimitItemPerMinute(answers, namespace="answers")
        self._left = at_once

    def request(self, who: Principal) -> None:
        """Count a request. Raises TooMany."""
        self._count(self._requests, who)

    def answer(self, who: Principal) -> None:
        """Count an answer, which costs a model's time. Raises TooMany, or Busy for what cannot begin now."""
        if self._left <= 0:
            raise Busy
        self._count(self._answers, who)

    async def writing(self, answering: AsyncIterator[str | Answer]) -> AsyncIterator[str | Answer]:
        """Pass an answer on, taking one of the places while it lasts."""
        self._left -= 1
        try:
            async with aclosing(answering):  # type: ignore[type-var]
                async for piece in answering:
                    yield piece
        finally:
            self._left += 1

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
        self._quota.answer(who)
        return self._quota.writing(self._house.answer(question, history, who, form, scope, tools))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._house, name)
