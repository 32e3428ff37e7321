"""Text from one or several vLLM servers, or from another server with the same API, OpenAI's."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import Any, Self

import aiohttp

from kiban.domain.question import PROSE, Form, Turn, Usage
from kiban.errors import ModelUnwell, PartError, PartUnavailable, UnknownModel

CONNECT_TIMEOUT = 5.0  # seconds
SHUNNED_FOR = 10.0  # seconds that a server which did not answer is asked last


class VllmGenerator:
    """Streams chat completions, greedily decoded, from the servers in turn.

    A server that does not begin to answer is passed over for the next, and asked last for a while. Inside
    `async with`, connections are kept open between calls; outside, each call opens its own, so that any event
    loop may use it.
    `timeout` is the longest silence in seconds, before the first piece and between pieces.
    """

    def __init__(self, urls: Sequence[str], timeout: float = 120.0, *, api_key: str = "") -> None:
        self._urls = tuple(url.rstrip("/") for url in urls)
        self._turn = itertools.count()
        self._shunned_until = dict.fromkeys(self._urls, 0.0)
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=timeout)
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=self._timeout, headers=self._headers)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def stream(
        self, turns: Sequence[Turn], *, model: str, max_tokens: int, salt: str = "", form: Form = PROSE
    ) -> AsyncIterator[str | Usage]:
        """Yield pieces of text, and last the usage. Closing the iterator closes the request, and vLLM stops
        writing.

        Raises UnknownModel if no server has this model, ModelUnwell if one fails with it or stops half-way,
        PartUnavailable if none answers, PartError if one refuses the request itself, e.g. for its length.
        """
        body = {**_body(turns, model, max_tokens, salt), **_form(form)}
        unwell: ModelUnwell | None = None
        for left, url in enumerate(self._in_turn(), start=1 - len(self._urls)):
            begun = False
            try:
                async with self._connection() as session, aclosing(_pieces(session, url, body)) as pieces:
                    async for piece in pieces:
                        begun = True
                        yield piece
                return
            except PartUnavailable as error:
                if begun:
                    raise ModelUnwell(error.detail) from error
                if isinstance(error, ModelUnwell):
                    unwell = unwell or error
                else:
                    self._shunned_until[url] = time.monotonic() + SHUNNED_FOR
                if left == 0:
                    raise unwell or error from error

    def _in_turn(self) -> list[str]:
        """Return the servers in the order of this turn, those that did not answer lately last."""
        first, now = next(self._turn) % len(self._urls), time.monotonic()
        in_turn = (*self._urls[first:], *self._urls[:first])
        return sorted(in_turn, key=lambda url: self._shunned_until[url] > now)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[aiohttp.ClientSession]:
        if self._session is not None:
            yield self._session
            return
        async with aiohttp.ClientSession(timeout=self._timeout, headers=self._headers) as session:
            yield session


def _body(turns: Sequence[Turn], model: str, max_tokens: int, salt: str) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [{"role": turn.role, "content": turn.text} for turn in turns],
        "max_tokens": max_tokens,
        "temperature": 0.0,
        "seed": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        **({"cache_salt": salt} if salt else {}),
    }


def _form(form: Form) -> dict[str, Any]:
    asked: dict[str, Any] = {"stop": list(form.stop)} if form.stop else {}
    if form.schema:
        schema = {"name": "answer", "schema": json.loads(form.schema)}
        asked["response_format"] = {"type": "json_schema", "json_schema": schema}
    return asked


async def _pieces(
    session: aiohttp.ClientSession, url: str, body: dict[str, Any]
) -> AsyncGenerator[str | Usage, None]:
    """Yield what one server writes."""
    cut = False
    try:
        async with session.post(f"{url}/v1/chat/completions", json=body) as response:
            if response.status != 200:
                raise _refusal(url, response.status, body["model"], await response.text())
            async for data in _events(response, url):
                for choice in data.get("choices", ()):
                    cut = cut or choice.get("finish_reason") == "length"
                    if text := choice["delta"].get("content"):
                        yield text
                if used := data.get("usage"):
                    yield Usage(used["prompt_tokens"], used["completion_tokens"], cut)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise PartUnavailable(f"vLLM at {url}: {error or type(error).__name__}") from error


async def _events(response: aiohttp.ClientResponse, url: str) -> AsyncIterator[dict[str, Any]]:
    """Yield the server-sent events of a completion up to [DONE], without which it was cut."""
    async for line in response.content:
        if not line.startswith(b"data:"):
            continue
        data = line.removeprefix(b"data:").strip()
        if data == b"[DONE]":
            return
        event = json.loads(data)
        if "error" in event:
            raise ModelUnwell(f"vLLM at {url}: {event['error'].get('message', event['error'])}")
        yield event
    raise ModelUnwell(f"vLLM at {url} stopped in the middle of an answer")


def _refusal(url: str, status: int, model: str, text: str) -> PartError:
    if status == 404:
        return UnknownModel(f"vLLM at {url}: {model}")
    detail = f"vLLM at {url} answered {status}: {text[:500]}"
    if status in (429, 503):
        return PartUnavailable(detail)
    return ModelUnwell(detail) if status >= 500 else PartError(detail)
