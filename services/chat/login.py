"""Logging in on the page: at the company's OpenID provider or, without one, by a password of this house."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from pydantic import BaseModel, ConfigDict, Field

from kiban.errors import IdentityError
from services.chat import session
from services.chat.errors import NotFound
from services.chat.house import Entry
from services.chat.quota import TooMany
from services.chat.shapes import Json

router = APIRouter(prefix="/login")
log = logging.getLogger(__name__)
TRIES = RateLimitItemPerMinute(10)  # for one name
TRIES_FROM_ADDRESS = RateLimitItemPerMinute(100)  # which many people share behind a proxy


class Tries:
    """How often somebody may guess."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, name: str, address: str) -> None:
        """Raises TooMany."""
        for limit, who in ((TRIES, ("name", name)), (TRIES_FROM_ADDRESS, ("address", address))):
            if not self._limiter.hit(limit, *who):
                free_at = self._limiter.get_window_stats(limit, *who).reset_time
                raise TooMany(math.ceil(max(free_at - time.time(), 1.0)))


class PasswordRequest(BaseModel):
    """A name of this house's own, and its password."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
    password: Annotated[str, Field(min_length=1, max_length=1_000)]


def entry_of(request: Request) -> Entry:
    """Raises NotFound where nobody logs in."""
    entry = cast("Entry | None", request.app.state.entry)
    if entry is None:
        raise NotFound("login")
    return entry


AtEntry = Annotated[Entry, Depends(entry_of)]


@router.get("")
async def ways(request: Request) -> Json:
    """Return how one logs in here, for the page to offer."""
    entry = cast("Entry | None", request.app.state.entry)
    return {
        "password": entry is not None and entry.takes_passwords,
        "provider": entry is not None and entry.takes_journeys,
    }


@router.post("/password", status_code=204)
async def with_password(body: PasswordRequest, request: Request, entry: AtEntry) -> Response:
    """Begin a session, in a cookie."""
    cast(Tries, request.app.state.tries).count(body.name, request.client.host if request.client else "")
    token = await asyncio.to_thread(entry.log_in, body.name, body.password)
    return _with_session(Response(status_code=204), token, entry)


@router.get("/provider", status_code=303, response_class=RedirectResponse)
async def at_provider(entry: AtEntry) -> Response:
    """Send the browser to the provider."""
    url, journey = await asyncio.to_thread(entry.begin_journey)
    response = RedirectResponse(url, 303)
    session.keep_journey(response, journey, over_tls=entry.over_tls)
    return response


@router.get("/back", status_code=303, response_class=RedirectResponse)
async def back(request: Request, entry: AtEntry) -> Response:
    """Take who comes back from the provider to the page, logged in; whoever failed, with a notice there."""
    arrived, failed = RedirectResponse("/", 303), RedirectResponse("/#login=failed", 303)
    journey = session.take_journey(request, arrived, over_tls=entry.over_tls)
    session.take_journey(request, failed, over_tls=entry.over_tls)
    if journey is None:
        return failed
    try:
        token = await asyncio.to_thread(entry.end_journey, journey, dict(request.query_params))
    except IdentityError as error:
        log.warning("somebody could not log in: %s", error.detail)
        return failed
    return _with_session(arrived, token, entry)


@router.post("/end", status_code=204)
async def end(request: Request, entry: AtEntry) -> Response:
    """End the session, and take its cookie."""
    if token := session.session_of(request):
        try:
            await asyncio.to_thread(entry.log_out, token)
        except IdentityError:
            pass  # it had ended before
    response = Response(status_code=204)
    session.drop(response, over_tls=entry.over_tls)
    return response


def _with_session(response: Response, token: str, entry: Entry) -> Response:
    session.keep(response, token, entry.session_seconds, over_tls=entry.over_tls)
    return response
