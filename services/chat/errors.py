"""Errors in OpenAI's shape, so that its clients understand them."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from kiban.errors import (
    IdentityError,
    KibanError,
    NoSuchFeedback,
    NotPermitted,
    NotVerbatim,
    PartError,
    ReleaseError,
    TooLong,
)
from services.chat.allowed import methods_at
from services.chat.quota import Busy, TooMany
from services.chat.shapes import error_json

RETRY_AFTER = "5"  # seconds
TOOLS = "/mcp"
ABOUT_TOOLS = "/.well-known/oauth-protected-resource/mcp"
log = logging.getLogger(__name__)


_SHAPE = {
    "application/json": {"example": error_json("what is wrong, and what mends it", "invalid_request_error")}
}
# What every route that looks at a token may answer instead, for its OpenAPI description.
REFUSALS: dict[int | str, dict[str, Any]] = {
    # An address of more than 64 KB is refused by the server before us, in plain text.
    400: {
        "description": "The body is no JSON, the address no HTTP, or the model cannot read so much",
        "content": {**_SHAPE, "text/plain": {}},
    },
    401: {"description": "The token does not prove who asks", "content": _SHAPE},
    403: {"description": "You may not do this", "content": _SHAPE},
    404: {"description": "Nothing of this name is here for you", "content": _SHAPE},
    413: {"description": "The request carries too much", "content": _SHAPE},
    422: {"description": "What was asked makes no sense", "content": _SHAPE},
    429: {"description": "You ask too often; Retry-After says when to ask again", "content": _SHAPE},
    503: {"description": "A part of the stack does not answer; Retry-After says when to ask again"},
}


# A reply of which parts come as they are written, if the request says so.
STREAMED: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {}, "text/event-stream": {}}},
}


class NotFound(KibanError):
    """Nothing of this name is here for you."""


def install(app: FastAPI) -> None:
    """Answer every exception with JSON."""
    app.add_exception_handler(IdentityError, _unknown_asker)
    app.add_exception_handler(NotPermitted, _forbidden)
    app.add_exception_handler(NotFound, _not_found)
    app.add_exception_handler(NoSuchFeedback, _not_found)
    app.add_exception_handler(NotVerbatim, _not_verbatim)
    app.add_exception_handler(TooMany, _too_many)
    app.add_exception_handler(Busy, _part_missing)
    app.add_exception_handler(TooLong, _too_long)
    app.add_exception_handler(PartError, _part_missing)
    app.add_exception_handler(ReleaseError, _part_missing)  # nothing has been released yet
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _unexpected)


def _unknown_asker(request: Request, error: Exception) -> JSONResponse:
    content = error_json(str(error), "authentication_error", code="invalid_api_key")
    challenge = "Bearer"
    if request.url.path == TOOLS:  # where MCP clients look for the issuer (RFC 9728)
        challenge += f' resource_metadata="{request.base_url}{ABOUT_TOOLS.removeprefix("/")}"'
    return JSONResponse(content, 401, {"WWW-Authenticate": challenge})


def _forbidden(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse(error_json(str(error), "permission_error", code="not_permitted"), 403)


def _not_verbatim(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse(error_json(str(error), "invalid_request_error", param="evidence.quote"), 422)


def _not_found(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse(error_json(str(error), "invalid_request_error", code="not_found"), 404)


def _too_many(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TooMany)
    content = error_json(str(error), "rate_limit_error", code="rate_limit_exceeded")
    return JSONResponse(content, 429, {"Retry-After": str(error.retry_after)})


def _too_long(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse(error_json(str(error), "invalid_request_error", code="context_length_exceeded"), 400)


def _part_missing(request: Request, error: Exception) -> JSONResponse:
    log.error("%s", error)
    return JSONResponse(part_json(error), 503, {"Retry-After": RETRY_AFTER})


def part_json(error: Exception) -> dict[str, object]:
    """Name the part that fails, as a whole reply or in the middle of a stream."""
    return error_json(str(error), "service_unavailable", code="part_unavailable")


def _malformed(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    content = error_json(f"{where}: {first['msg']}", "invalid_request_error", param=where or None)
    return JSONResponse(content, 422)


def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    content, headers = error_json(error.detail, "invalid_request_error"), error.headers
    if error.status_code == 405:  # the router names the methods of one route alone
        headers = {"Allow": ", ".join(methods_at(request.app, request.url.path))}
    return JSONResponse(content, error.status_code, headers)


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    """The outermost boundary: the server logs the traceback, the asker learns only that it happened."""
    return JSONResponse(
        error_json("The server made a mistake; its log has the details.", "server_error"), 500
    )
