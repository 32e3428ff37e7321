"""The page's session: a token in a cookie that no script can read and no other site can use."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from kiban.domain.credentials import Journey

PLAIN = "kiban-session"
LOCKED = "__Host-kiban-session"  # browsers take it over TLS alone, and from this host alone (RFC 6265bis)
JOURNEY, JOURNEY_LOCKED = "kiban-journey", "__Host-kiban-journey"
JOURNEY_SECONDS = 600
SAFE_METHODS = ("GET", "HEAD")
ONLY_BEARERS = ("/mcp",)  # agents; no page calls it


def keep(response: Response, token: str, seconds: int, *, over_tls: bool) -> None:
    """Give the browser a session."""
    response.set_cookie(
        LOCKED if over_tls else PLAIN,
        token,
        max_age=seconds,
        path="/",
        secure=over_tls,
        httponly=True,
        samesite="strict",
    )


def drop(response: Response, *, over_tls: bool) -> None:
    """Take the session from the browser."""
    response.delete_cookie(
        LOCKED if over_tls else PLAIN, path="/", secure=over_tls, httponly=True, samesite="strict"
    )


def keep_journey(response: Response, journey: Journey, *, over_tls: bool) -> None:
    """Let the browser keep what it must bring back. It comes from another site: hence Lax."""
    response.set_cookie(
        JOURNEY_LOCKED if over_tls else JOURNEY,
        ".".join((journey.state, journey.nonce, journey.verifier)),
        max_age=JOURNEY_SECONDS,
        path="/",
        secure=over_tls,
        httponly=True,
        samesite="lax",
    )


def take_journey(request: Request, response: Response, *, over_tls: bool) -> Journey | None:
    """Return what the browser kept, and take it away: it is good once."""
    name = JOURNEY_LOCKED if over_tls else JOURNEY
    response.delete_cookie(name, path="/", secure=over_tls, httponly=True, samesite="lax")
    parts = request.cookies.get(name, "").split(".")
    return Journey(*parts) if len(parts) == 3 and all(parts) else None


def session_of(request: Request) -> str:
    """Return the token of the session in which our own page sent this; "" when it is not so.

    SameSite keeps other sites out, but takes those of the same registered domain for us: hence the origin is
    looked at, too.
    """
    token = request.cookies.get(LOCKED) or request.cookies.get(PLAIN) or ""
    return token if token and _from_our_page(request) else ""


def _from_our_page(request: Request) -> bool:
    if request.url.path in ONLY_BEARERS:
        return False
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    if request.method in SAFE_METHODS:
        return True
    return urlsplit(request.headers.get("origin", "")).netloc == request.headers.get("host")
