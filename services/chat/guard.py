"""Who may come in, how much they may bring, and what their browser may do with what it gets."""

from __future__ import annotations

import asyncio
from typing import Annotated, cast

from fastapi import Depends, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kiban.domain.access import Principal
from kiban.domain.roles import Caller, Right
from kiban.errors import IdentityError
from services.chat.allowed import Door, needed, require
from services.chat.house import ChatHouse, Conversations, Desk, Office, Views
from services.chat.quota import Quota
from services.chat.session import session_of

LARGEST_BODY = 512 * 1024  # bytes

# Model output can do nothing in this page: no request leaves for another host, no inline script runs, and
# no string becomes markup (Trusted Types without any policy).
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def house_of(request: Request) -> ChatHouse:
    return cast(ChatHouse, request.app.state.house)


async def admit(request: Request) -> None:
    """Let nobody reach a route that they may not call; every route passes here.

    Raises IdentityError, NotPermitted, and TooMany for who asks too often.
    """
    right = needed(request.method, request.scope["route"].path)
    if right is not Door.ANYBODY:
        request.state.caller = await caller_of(request, right)


async def caller_of(request: Request, right: Right | Door) -> Caller:
    """Return who calls, from the token alone, if they may do this. Raises as `admit` does."""
    caller = await asyncio.to_thread(house_of(request).caller, _token_of(request))
    cast(Quota, request.app.state.quota).request(caller.who)
    require(caller, right)
    return caller


def _token_of(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    if scheme or not (session := session_of(request)):
        raise IdentityError("a header `Authorization: Bearer TOKEN` is needed")
    return session


def admitted(request: Request) -> Caller:
    return cast(Caller, request.state.caller)


def asker(request: Request) -> Principal:
    return admitted(request).who


def desk_of(request: Request) -> Desk:
    return cast(Desk, request.app.state.desk)


def kept_of(request: Request) -> Conversations:
    return cast(Conversations, request.app.state.kept)


def views_of(request: Request) -> Views:
    return cast(Views, request.app.state.views)


def office_of(request: Request) -> Office:
    return cast(Office, request.app.state.office)


House = Annotated[ChatHouse, Depends(house_of)]
AtDesk = Annotated[Desk, Depends(desk_of)]
Kept = Annotated[Conversations, Depends(kept_of)]
InOffice = Annotated[Office, Depends(office_of)]
AtHand = Annotated[Views, Depends(views_of)]
Admitted = Annotated[Caller, Depends(admitted)]
Asker = Annotated[Principal, Depends(asker)]


class Guard:
    """ASGI middleware: security headers on every reply, and a limit to what a request may carry."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        carried = 0

        async def weigh() -> Message:
            nonlocal carried
            message = await receive()
            carried += len(message.get("body", b""))
            if max(carried, _announced(scope)) > LARGEST_BODY:
                raise HTTPException(413, f"A request may carry {LARGEST_BODY} bytes.")
            return message

        async def protect(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(SECURITY_HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, weigh, protect)


def _announced(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "0")
    return int(length) if length.isdecimal() else 0
