"""Requests to chat platforms over HTTP (httpx), with an access token that is fetched when it has run out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

import httpx

from kiban.errors import PartUnavailable

EARLY = 60.0  # seconds before a token runs out that the next one is fetched


class Web:
    """JSON over HTTP as one application. Redirects are not followed: a token goes where it was meant to."""

    def __init__(self, name: str, login_url: str, credentials: Callable[[], Mapping[str, str]]) -> None:
        """`credentials` gives the form that is exchanged for an access token (OAuth 2.0, RFC 6749)."""
        self._name, self._login_url, self._credentials = name, login_url, credentials
        self._client = httpx.Client(timeout=10, follow_redirects=False)
        self._token, self._until, self._lock = "", 0.0, Lock()

    def get(self, url: str) -> dict[str, Any]:
        return self._send("GET", url, headers=self._headers())

    def post(self, url: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._send("POST", url, headers=self._headers(), json=body)

    def close(self) -> None:
        self._client.close()

    def _headers(self) -> dict[str, str]:
        with self._lock:
            if time.monotonic() >= self._until:
                given = self._send("POST", self._login_url, data=dict(self._credentials()))
                self._token = str(given.get("access_token", ""))
                self._until = time.monotonic() + float(given.get("expires_in", 0)) - EARLY
            return {"Authorization": f"Bearer {self._token}"}

    def _send(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        try:
            reply = self._client.request(method, url, **more)
            reply.raise_for_status()
            return dict(reply.json()) if reply.content else {}
        except (httpx.HTTPError, ValueError) as error:
            raise PartUnavailable(f"{self._name}: {error}") from error
