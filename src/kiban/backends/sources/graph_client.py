"""Asking Microsoft Graph as an application (requests): pages, batches and downloads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from requests import HTTPError, JSONDecodeError, RequestException, Response
from requests.exceptions import SSLError

from kiban.backends.sources.graph_tokens import GraphTokens, trusting
from kiban.backends.sources.patience import BUSY, NO_ANSWER, Patience, Reply
from kiban.errors import SourceRefused

_IN_BATCH = 20  # requests; Graph takes no more
_PIECE = 1 << 16  # bytes
_TIMEOUT = 60  # seconds without a byte


class GraphClient:
    """Graph, as long as its `with` block runs."""

    def __init__(self, tokens: GraphTokens, longest_wait: float) -> None:
        self._tokens = tokens
        self._graph = tokens.account.graph.rstrip("/")
        self._session = trusting(tokens.account)
        self._patience = Patience((RequestException,), _reply_of, longest_wait)

    def __enter__(self) -> GraphClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def values(self, link: str) -> Iterator[dict[str, Any]]:
        """Yield what stands on a page and on those that it names as the next."""
        while link:
            page = self.json(link)
            yield from page["value"]
            link = page.get("@odata.nextLink", "")

    def delta(self, link: str, prefer: str) -> Iterator[dict[str, Any]]:
        """Yield the pages of a delta. Raises ResyncRequired."""

        def get() -> dict[str, Any]:
            response = self._authorized("GET", link, headers={"Prefer": prefer})
            if response.status_code == 410:
                raise ResyncRequired(response.headers.get("Location", ""))
            return _read(response)

        while link:
            page = self._patience.ask(_told(link), get)
            yield page
            link = page.get("@odata.nextLink", "")

    def json(self, link: str) -> dict[str, Any]:
        return self._patience.ask(_told(link), lambda: _read(self._authorized("GET", link)))

    def batch(self, paths: Sequence[str]) -> Iterator[dict[str, Any] | None]:
        """Yield the answers to many requests; None where one is refused or gone."""
        for start in range(0, len(paths), _IN_BATCH):
            yield from self._batch(paths[start : start + _IN_BATCH])

    @contextmanager
    def download(self, path: str) -> Iterator[Iterator[bytes]]:
        """Give the bytes behind a path in pieces. Graph sends us to an address that lets in whoever knows
        it: our token is not shown there."""

        def get() -> Response:
            response = self._authorized("GET", path, allow_redirects=False)
            if response.is_redirect:
                response = self._session.get(response.headers["Location"], stream=True, timeout=_TIMEOUT)
            return _checked(response)

        with self._patience.ask(_told(path), get) as response:
            yield response.iter_content(_PIECE)

    def _batch(self, paths: Sequence[str]) -> list[dict[str, Any] | None]:
        left = {str(number): path for number, path in enumerate(paths)}
        answers: dict[str, dict[str, Any] | None] = {}

        def post() -> None:
            asked = [{"id": id, "method": "GET", "url": path} for id, path in left.items()]
            said = _checked(self._authorized("POST", "/$batch", json={"requests": asked})).json()
            busy: list[Mapping[str, Any]] = []
            for response in said["responses"]:
                if response["status"] in BUSY:
                    busy.append(response)
                    continue
                answers[response["id"]] = response["body"] if response["status"] == 200 else None
                del left[response["id"]]
            if busy:
                raise _BusyBatch(busy)

        self._patience.ask("$batch", post)
        return [answers[str(number)] for number in range(len(paths))]

    def _authorized(self, method: str, link: str, **options: Any) -> Response:
        """Ask once, and once more with a new token if this one has had its day."""
        url = link if link.startswith("https://") else f"{self._graph}{link}"
        if not url.startswith(f"{self._graph}/"):
            raise SourceRefused(f"{_told(url)} is not on {self._graph}, and must not see our token")
        options.setdefault("headers", {})
        response = None
        for _ in range(2):
            token = {"Authorization": f"Bearer {self._tokens.token(renew=response is not None)}"}
            headers = {**options["headers"], **token}
            response = self._session.request(method, url, timeout=_TIMEOUT, **{**options, "headers": headers})
            if response.status_code != 401:
                break
        assert response is not None
        return response


class ResyncRequired(Exception):
    """A delta is too old to be continued: begin at `location`, or at the beginning if that is empty."""

    def __init__(self, location: str) -> None:
        self.location = location


class _BusyBatch(RequestException):
    """Some of a batch has to be asked again, not sooner than the slowest of it says."""

    def __init__(self, responses: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        self.status = int(responses[0]["status"])
        waits = [str(response.get("headers", {}).get("Retry-After", "")) for response in responses]
        self.retry_after = max(waits, key=lambda wait: int(wait) if wait.isdecimal() else -1)


def _read(response: Response) -> dict[str, Any]:
    answer: dict[str, Any] = _checked(response).json()
    return answer


def _checked(response: Response) -> Response:
    response.raise_for_status()
    return response


def _reply_of(error: Exception) -> Reply:
    if isinstance(error, _BusyBatch):
        return Reply(error.status, "part of a batch", error.retry_after)
    if isinstance(error, JSONDecodeError):
        return Reply(200, "something else than JSON")
    if isinstance(error, SSLError):
        return Reply(NO_ANSWER, "its certificate is not trusted; see ca_file", final=True)
    if not isinstance(error, HTTPError) or error.response is None:
        return Reply(NO_ANSWER, type(error).__name__)
    response = error.response
    return Reply(response.status_code, _code(response), response.headers.get("Retry-After", ""))


def _code(response: Response) -> str:
    try:
        return str(response.json()["error"]["code"])
    except (JSONDecodeError, KeyError, TypeError):
        return response.reason or ""


def _told(link: str) -> str:
    return link.partition("?")[0]  # what follows may let somebody in
