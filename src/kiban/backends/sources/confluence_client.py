"""Asking Confluence, Cloud or Data Center (atlassian-python-api): pages of results, and downloads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from atlassian.rest_client import AtlassianRestAPI
from requests import JSONDecodeError, RequestException, Response, Session
from requests.exceptions import SSLError

from kiban.backends.sources.patience import NO_ANSWER, Patience, Reply

_JSON = {"Accept": "application/json"}
_PIECE = 1 << 16  # bytes


@dataclass(frozen=True, slots=True)
class ConfluenceAccount:
    """How to enter: a user with an API token (Cloud) or a password, or a personal access token alone."""

    url: str  # with the context path, e.g. https://example.atlassian.net/wiki
    cloud: bool
    user: str = ""
    token: str = ""


class ConfluenceClient:
    """Confluence, as long as its `with` block runs."""

    def __init__(self, account: ConfluenceAccount, longest_wait: float) -> None:
        self._base = account.url.rstrip("/")
        self._session = Session()
        self._patience = Patience((RequestException,), _reply_of, longest_wait)
        self._confluence = AtlassianRestAPI(
            account.url,
            cloud=account.cloud,
            username=account.user or None,
            password=account.token if account.user else None,
            token=None if account.user else account.token,
            session=self._session,
            retry_with_header=False,  # waiting is Patience's
        )

    def __enter__(self) -> ConfluenceClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def pages(self, path: str, **params: str | int) -> Iterator[dict[str, Any]]:
        """Yield the results of a request and of those that its answers name as the next."""
        page = self.json(path, **params)
        while True:
            yield from page["results"]
            if not (link := page.get("_links", {}).get("next")):
                return
            page = self.json(link)

    def json(self, path: str, **params: str | int) -> Any:
        url = self.address(path)

        def get() -> Any:
            response = self._confluence.get(
                url, params=params, headers=_JSON, absolute=True, advanced_mode=True
            )
            response.raise_for_status()
            return response.json()

        return self._patience.ask(url.partition("?")[0], get)

    @contextmanager
    def download(self, link: str) -> Iterator[Iterator[bytes]]:
        """Give the bytes behind a link in pieces. The library's own `get` would hold and decode them all."""
        url = self.address(link)

        def get() -> Response:
            response = self._session.get(url, stream=True, timeout=75)
            response.raise_for_status()
            return response

        with self._patience.ask(url.partition("?")[0], get) as response:
            yield response.iter_content(_PIECE)

    def address(self, link: str) -> str:
        """Return the URL of a link, which is relative to the host or to the context path, as they like."""
        if link.startswith(("https://", "http://")):
            return link
        link = "/" + link.lstrip("/")
        host = "/".join(self._base.split("/")[:3])
        context = self._base.removeprefix(host)
        return (host if context and link.startswith(f"{context}/") else self._base) + link


def _reply_of(error: Exception) -> Reply:
    if isinstance(error, JSONDecodeError):
        return Reply(200, "something else than JSON; is this a page to log in?")
    if isinstance(error, SSLError):
        return Reply(NO_ANSWER, "its certificate is not trusted", final=True)
    response = getattr(error, "response", None)
    if response is None:
        return Reply(NO_ANSWER, type(error).__name__)
    return Reply(response.status_code, response.reason or "", response.headers.get("Retry-After", ""))
