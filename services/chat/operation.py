"""For those who keep the service running: /healthz, /readyz, /metrics. No user data in any of them."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from services.chat.errors import ABOUT_TOOLS, RETRY_AFTER, TOOLS
from services.chat.guard import House
from services.chat.shapes import Json

router = APIRouter()


@router.get("/healthz")
async def healthz() -> Json:
    """This process runs."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "A part is missing; the reply names it"}})
async def readyz(house: House) -> JSONResponse:
    """Every part that an answer needs is there."""
    parts = await asyncio.to_thread(house.ready)
    if all(state == "ok" for state in parts.values()):
        return JSONResponse({"status": "ready", "parts": parts})
    return JSONResponse({"status": "not ready", "parts": parts}, 503, {"Retry-After": RETRY_AFTER})


@router.get(ABOUT_TOOLS)
async def about_tools(request: Request, house: House) -> Json:
    """Who issues the tokens that /mcp asks for (OAuth 2.0 Protected Resource Metadata, RFC 9728)."""
    issuer = house.token_issuer()
    return {
        "resource": f"{request.base_url}{TOOLS.removeprefix('/')}",
        "bearer_methods_supported": ["header"],
        **({"authorization_servers": [issuer]} if issuer else {}),
    }


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    return Response(request.app.state.metrics.page(), media_type=CONTENT_TYPE_LATEST)
