"""Who may call which route: the one table, and the one place where it is enforced.

A route that is not listed here does not start. What a caller may *read* is not decided here, but by Postgres.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import compile_path

from kiban.domain.roles import Caller, Right
from kiban.errors import NotPermitted


class Door(Enum):
    """A route that asks for no right."""

    ANYBODY = "anybody"  # no token is looked at; nothing about a person or a document is told
    KNOWN = "known"  # whoever a token proves, whatever they may do


class Unlisted(Exception):
    """A route of the service is not in the table of who may call it."""


ROUTES: Mapping[str, Right | Door] = {
    "GET /": Door.ANYBODY,
    "GET /operate": Door.ANYBODY,  # a page without a word of data in it
    "GET /openapi.json": Door.ANYBODY,
    "GET /healthz": Door.ANYBODY,
    "GET /readyz": Door.ANYBODY,
    "GET /metrics": Door.ANYBODY,
    "GET /.well-known/oauth-protected-resource/mcp": Door.ANYBODY,
    "GET /login": Door.ANYBODY,
    "POST /login/password": Door.ANYBODY,
    "GET /login/provider": Door.ANYBODY,
    "GET /login/back": Door.ANYBODY,
    "POST /login/end": Door.ANYBODY,
    "GET /v1/me": Door.KNOWN,
    "GET /v1/models": Door.KNOWN,
    "GET /v1/models/{name}": Door.KNOWN,
    "POST /v1/chat/completions": Right.ASK,
    "POST /v1/responses": Right.ASK,
    "GET /v1/conversations": Right.ASK,
    "POST /v1/conversations": Right.ASK,
    "GET /v1/conversations/{id}": Right.ASK,
    "DELETE /v1/conversations/{id}": Right.ASK,
    "GET /v1/search": Right.SEARCH,
    "POST /v1/search": Right.SEARCH,
    "GET /v1/documents": Right.SEARCH,
    "GET /v1/documents/{document_id}": Right.SEARCH,
    "GET /v1/documents/{document_id}/pages/{number}": Right.SEARCH,
    "GET /v1/choices": Right.SEARCH,
    "POST /v1/embeddings": Right.SEARCH,
    "POST /mcp": Right.SEARCH,  # its tool `ask` also asks for that right
    "POST /v1/feedback": Right.FEEDBACK,
    "GET /v1/feedback": Right.CURATE,
    "POST /v1/feedback/{feedback_id}/decision": Right.CURATE,
    "GET /v1/operate": Right.OPERATE,
    "GET /v1/operate/documents": Right.OPERATE,
    "GET /v1/operate/documents/{document_id}": Right.OPERATE,
    "GET /v1/operate/releases": Right.OPERATE,
    "GET /v1/operate/candidates": Right.OPERATE,
    "GET /v1/operate/answers": Right.AUDIT,
    "GET /v1/operate/answers/{seq}": Right.AUDIT,
}


def needed(method: str, path: str) -> Right | Door:
    """Return what a route asks for, by its path as declared. Raises NotPermitted for an unlisted one."""
    found = ROUTES.get(f"{'GET' if method == 'HEAD' else method} {path}")
    if found is None:
        raise NotPermitted(f"{method} {path} is not listed.")
    return found


def require(caller: Caller, right: Right | Door) -> None:
    """Raise NotPermitted unless the caller has this right."""
    if isinstance(right, Right) and right not in caller.rights:
        raise NotPermitted(f"{caller.who.subject} lacks the right {right!r} for this.")


def routes_of(app: FastAPI) -> Iterator[str]:
    """Yield every route of an app as "METHOD /path"."""
    for route in iter_route_contexts(app.routes):
        methods: Iterable[str] = getattr(route, "methods", None) or ()
        for method in sorted(set(methods) - {"HEAD"}):
            yield f"{method} {route.path}"


def methods_at(app: FastAPI, address: str) -> list[str]:
    """Return the methods that something at this address takes."""
    declared = (route.split(" ", 1) for route in routes_of(app))
    return sorted({method for method, path in declared if compile_path(path)[0].match(address)})


def require_listed(app: FastAPI) -> None:
    """Raise Unlisted if the app has a route of which nothing says who may call it."""
    if unlisted := [route for route in routes_of(app) if route not in ROUTES]:
        raise Unlisted(", ".join(unlisted))
