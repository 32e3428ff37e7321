"""One route a platform: take the message, say so at once, answer afterwards: platforms wait for seconds."""

from __future__ import annotations

import asyncio

from fastapi import BackgroundTasks, FastAPI, Request
from fastapi.responses import JSONResponse

from kiban.domain.channel import Handshake
from kiban.errors import IdentityError, PartUnavailable
from kiban.wiring.channels import ChannelDesk
from services.chat.guard import Guard


def create_app(desk: ChannelDesk) -> FastAPI:
    """Return the app that platforms call."""
    app = FastAPI(title="Kiban channels", docs_url=None, redoc_url=None, openapi_url=None)

    @app.post("/{name}")
    async def deliver(name: str, request: Request, later: BackgroundTasks) -> JSONResponse:
        body = await request.body()
        try:
            sent = await asyncio.to_thread(desk.take, name, request.headers, body)
        except IdentityError:
            return JSONResponse({}, 401)
        except PartUnavailable:  # keys to check a signature with; the platform sends it again
            return JSONResponse({}, 503)
        if isinstance(sent, Handshake):
            return JSONResponse({"challenge": sent.challenge})
        if sent is not None:
            later.add_task(desk.answer, name, sent)
        return JSONResponse({})

    app.add_middleware(Guard)
    return app
