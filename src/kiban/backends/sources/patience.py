"""How the sources behind an HTTP API wait for a service that is busy, and say what it refused."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from kiban.errors import GoneMeanwhile, PartUnavailable, SourceRefused, Withheld

NO_ANSWER = 0
BUSY = frozenset((NO_ANSWER, 408, 429, 500, 502, 503, 504))
ATTEMPTS = 8

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply:
    """A service's answer that is not what was asked for."""

    status: int  # HTTP; NO_ANSWER when there was none
    says: str = ""
    retry_after: str = ""  # seconds or a date, RFC 9110 section 10.2.3
    busy: bool = False  # whatever the status says
    final: bool = False  # asking again does not help, whatever the status says


class Patience:
    """Asks again while a service is busy: as late as it wishes, or after 1, 2, 4 … seconds.

    `reply_of` turns the library's `errors` into replies. A call waits no longer than `longest` seconds in
    all: a service that wishes for more is left alone until the next run, not asked sooner.
    """

    def __init__(
        self,
        errors: tuple[type[Exception], ...],
        reply_of: Callable[[Exception], Reply],
        longest: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._errors = errors
        self._reply_of = reply_of
        self._longest = longest
        self._sleep = sleep

    def ask(self, what: str, call: Callable[[], T]) -> T:
        """Return what `call` returns. Raises PartUnavailable, SourceRefused (401, 403 and whatever else
        asking again does not help) or GoneMeanwhile (404, 410)."""
        left, attempt = self._longest, 0
        while True:
            try:
                return call()
            except self._errors as error:
                reply, attempt = self._reply_of(error), attempt + 1
                if reply.final or not (reply.busy or reply.status in BUSY):
                    raise _refusal(what, reply) from error
                pause = _pause(reply.retry_after, attempt)
                if attempt >= ATTEMPTS or pause > left:
                    raise PartUnavailable(_told(what, reply)) from error
            left -= pause
            self._sleep(pause)


@contextmanager
def listing() -> Iterator[None]:
    """While a source is listed, what is not there (a space, a site, a drive) is no lost document but a
    refusal: nothing may look deleted for it."""
    try:
        yield
    except GoneMeanwhile as error:
        raise SourceRefused(error.detail) from error


@contextmanager
def fetching() -> Iterator[None]:
    """While a document is fetched from a service that lets us in, a refusal is of this document alone."""
    try:
        yield
    except SourceRefused as error:
        raise Withheld(error.detail) from error


def _refusal(what: str, reply: Reply) -> SourceRefused | GoneMeanwhile:
    return (GoneMeanwhile if reply.status in (404, 410) else SourceRefused)(_told(what, reply))


def _told(what: str, reply: Reply) -> str:
    answer = f"answered {reply.status}" if reply.status else "did not answer"
    return f"{what}: {answer}" + (f" ({reply.says[:300]})" if reply.says else "")


def _pause(retry_after: str, attempt: int) -> float:
    """Return seconds."""
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):  # it wishes nothing, or nothing we can understand
        return float(2 ** (attempt - 1) * random.uniform(1.0, 1.25))  # so that two of us do not march in step
