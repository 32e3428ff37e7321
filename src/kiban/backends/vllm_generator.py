"""Text from one or several vLLM servers, or from another server with the same API, OpenAI's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import Any, Self

import aiohttp

from kiban.backends.fleet import Fleet
from kiban.domain.question import (
    NO_TOOLS,
    PROSE,
    Form,
    ToolCall,
    Tools,
    Turn,
    Usage,
)
from kiban.errors import ModelUnwell, PartError, PartUnavailable, TooLong, UnknownModel

CONNECT_TIMEOUT = 5.0  # seconds
HEALTH_TIMEOUT = aiohttp.ClientTimeout(total=2.0)
TOO_LONG = "maximum context length"  # in vLLM's words, and OpenAI's
KEPT_FOR = (
    4.0  # seconds that a connection may idle: less than the 5 after which uvicorn, under vLLM, closes it
)


class VllmGenerator:
    """Streams chat completions, greedily decoded, from one of the servers.

    A server that does not begin to answer is passed over for the next and left out for a while; it comes back
    when it answers a look at its health, which no question waits for. Inside `async with`, connections are
    kept open between calls from the same event loop; other calls open their own.
    `timeout` is the longest silence in seconds, before the first piece and between pieces.
    """

    def __init__(self, urls: Sequence[str], timeout: float = 120.0, *, api_key: str = "") -> None:
        self._fleet = Fleet([url.rstrip("/") for url in urls])
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=timeout)
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._kept: tuple[asyncio.AbstractEventLoop, aiohttp.ClientSession] | None = None
        self._looking: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._kept = (asyncio.get_running_loop(), self._session())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        kept, self._kept = self._kept, None
        for looking in self._looking:
            looking.cancel()
        if kept is not None:
            await kept[1].close()

    async def stream(
        self,
        turns: Sequence[Turn],
        *,
        model: str,
        max_tokens: int,
        salt: str = "",
        session: str = "",
        form: Form = PROSE,
        tools: Tools = NO_TOOLS,
    ) -> AsyncIterator[str | ToolCall | Usage]:
        """Yield pieces of text, then calls of tools, and last the usage. Closing the iterator closes the
        request, and vLLM stops writing.

        Raises UnknownModel if no server has this model, ModelUnwell if one fails with it or stops half-way,
        PartUnavailable if none answers, TooLong if the model cannot read so much, PartError if a server
        refuses the request itself for another reason.
        """
        body = {**_body(turns, model, max_tokens, salt), **_form(form), **_tools(tools)}
        unwell: ModelUnwell | None = None
        self._look_for_the_lost()
        for left, url in enumerate(self._fleet.order(session), start=1 - len(self._fleet)):
            begun = False
            try:
                async with self._connection() as connection:
                    with self._fleet.at_work(url):
                        async with aclosing(_pieces(connection, url, body)) as pieces:
                            async for piece in pieces:
                                if not begun:
                                    self._fleet.answers(url)
                                begun = True
                                yield piece
                return
            except PartUnavailable as error:
                if not isinstance(error, ModelUnwell):
                    self._fleet.fails(url)
                if begun:
                    raise ModelUnwell(error.detail) from error
                if isinstance(error, ModelUnwell):
                    unwell = unwell or error
                if left == 0:
                    raise unwell or error from error

    def _look_for_the_lost(self) -> None:
        """See beside the question whether servers that were left out are back."""
        for url in self._fleet.to_look_at():
            looking = asyncio.create_task(self._look(url))
            self._looking.add(looking)
            looking.add_done_callback(self._looking.discard)

    async def _look(self, url: str) -> None:
        with self._fleet.look(url):
            try:
                async with (
                    self._connection() as connection,
                    connection.get(f"{url}/health", timeout=HEALTH_TIMEOUT) as response,
                ):
                    well = response.status < 500  # a server of another kind may know no such route
            except (aiohttp.ClientError, TimeoutError):
                well = False
        (self._fleet.answers if well else self._fleet.fails)(url)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[aiohttp.ClientSession]:
        if self._kept is not None and self._kept[0] is asyncio.get_running_loop():
            yield self._kept[1]
            return
        async with self._session() as session:
            yield session

    def _session(self) -> aiohttp.ClientSession:
        # As many connections as there are questions: who may ask at once is limited elsewhere.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_FOR)
        return aiohttp.ClientSession(connector=connector, timeout=self._timeout, headers=self._headers)


def _body(turns: Sequence[Turn], model: str, max_tokens: int, salt: str) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [_message(turn) for turn in turns],
        "max_tokens": max_tokens,
        "temperature": 0.0,
        "seed": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        **({"cache_salt": salt} if salt else {}),
    }


def _message(turn: Turn) -> dict[str, Any]:
    message: dict[str, Any] = {"role": turn.role, "content": turn.text}
    if turn.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in turn.calls
        ]
    return {**message, "tool_call_id": turn.result_of} if turn.result_of else message


def _tools(tools: Tools) -> dict[str, Any]:
    if not tools.offered:
        return {}
    return {"tools": json.loads(tools.offered), "tool_choice": json.loads(tools.choice)}


def _form(form: Form) -> dict[str, Any]:
    asked: dict[str, Any] = {"stop": list(form.stop)} if form.stop else {}
    if form.schema:
        schema = {"name": "answer", "schema": json.loads(form.schema)}
        asked["response_format"] = {"type": "json_schema", "json_schema": schema}
    return asked


async def _pieces(
    session: aiohttp.ClientSession, url: str, body: dict[str, Any]
) -> AsyncGenerator[str | ToolCall | Usage, None]:
    """Yield what one server writes."""
    cut, usage, calls = False, None, _Calls()
    try:
        async with await _asked(session, f"{url}/v1/chat/completions", body) as response:
            if response.status != 200:
                raise _refusal(url, response.status, body["model"], await response.text())
            async for data in _events(response, url):
                for choice in data.get("choices", ()):
                    cut = cut or choice.get("finish_reason") == "length"
                    calls.take(choice["delta"].get("tool_calls") or ())
                    if text := choice["delta"].get("content"):
                        yield text
                if used := data.get("usage"):
                    usage = Usage(used["prompt_tokens"], used["completion_tokens"], cut)
        for call in calls.whole():
            yield call
        if usage:
            yield usage
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise PartUnavailable(f"vLLM at {url}: {error or type(error).__name__}") from error


class _Calls:
    """Calls of tools, put together from their pieces."""

    def __init__(self) -> None:
        self._parts: dict[int, dict[str, str]] = {}  # by the number of the call

    def take(self, pieces: Iterable[dict[str, Any]]) -> None:
        for piece in pieces:
            parts = self._parts.setdefault(piece["index"], {"id": "", "name": "", "arguments": ""})
            parts["id"] = parts["id"] or piece.get("id") or ""
            function = piece.get("function") or {}
            parts["name"] += function.get("name") or ""
            parts["arguments"] += function.get("arguments") or ""

    def whole(self) -> Iterator[ToolCall]:
        for _, parts in sorted(self._parts.items()):
            yield ToolCall(**parts)


async def _asked(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> aiohttp.ClientResponse:
    try:
        return await session.post(url, json=body)
    except aiohttp.ServerDisconnectedError:  # it had closed a connection that we had kept
        return await session.post(url, json=body)


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
    if status == 400 and TOO_LONG in text:
        return TooLong(detail)
    return ModelUnwell(detail) if status >= 500 else PartError(detail)
