"""VllmGenerator against a server with vLLM's habits: SSE, 404 for unknown models, cut streams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from kiban.backends.vllm_generator import VllmGenerator
from kiban.domain.question import Form, ToolCall, Tools, Turn, Usage
from kiban.errors import ModelUnwell, PartError, PartUnavailable, TooLong, UnknownModel

ASKED = (Turn("system", "短く。"), Turn("user", "宿泊費は？"))
Start = Callable[["Server"], Awaitable[str]]


class Server:
    """Says `pieces`, then does what `end` says."""

    def __init__(self, *pieces: str, end: str = "[DONE]", status: int = 200, pause: float = 0) -> None:
        self.pieces, self.end, self.status, self.pause = pieces, end, status, pause
        self.asked: list[dict[str, object]] = []
        self.cut_off = asyncio.Event()

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append(body)
        if body["model"] != "base":
            message = f"The model `{body['model']}` does not exist. Valid aliases: base."
            return web.json_response({"error": {"message": message, "code": 404}}, status=404)
        if self.status != 200:
            return web.json_response(
                {"error": {"message": "maximum context length is 4096"}}, status=self.status
            )
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            await self.say(response)
        except (ConnectionError, asyncio.CancelledError):
            self.cut_off.set()
            raise
        return response

    async def say(self, response: web.StreamResponse) -> None:
        chunks = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in self.pieces)]
        for delta in chunks:
            event = {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
            await response.write(f"data: {json.dumps(event)}\n\n".encode())
            await asyncio.sleep(self.pause)
        used = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
        usage = json.dumps({"choices": [], "usage": used})
        await response.write(f"data: {usage}\n\n".encode())
        if self.end:
            await response.write(f"data: {self.end}\n\n".encode())


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    runners = []

    async def begin(server: Server) -> str:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", server.complete)
        runner = web.AppRunner(app, handler_cancellation=True)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield begin
    for runner in runners:
        await runner.cleanup()


async def written(generator: VllmGenerator, model: str = "base") -> list[str]:
    pieces = generator.stream(ASKED, model=model, max_tokens=8)
    return [piece async for piece in pieces if isinstance(piece, str)]


async def test_pieces_arrive_as_they_are_written_and_decoding_is_greedy(start: Start) -> None:
    server = Server("11,000円", "です。")
    assert await written(VllmGenerator([await start(server)])) == ["11,000円", "です。"]
    [asked] = server.asked
    assert asked["messages"] == [
        {"role": "system", "content": "短く。"},
        {"role": "user", "content": "宿泊費は？"},
    ]
    assert (asked["temperature"], asked["seed"], asked["max_tokens"]) == (0.0, 0, 8)


async def test_the_usage_comes_last_as_the_server_counts_it(start: Start) -> None:
    generator = VllmGenerator([await start(Server("はい"))])
    pieces = [piece async for piece in generator.stream(ASKED, model="base", max_tokens=8)]
    assert pieces == ["はい", Usage(5, 2, cut=False)]


async def test_a_form_is_asked_for_in_the_servers_words(start: Start) -> None:
    server = Server("{}")
    form = Form(stop=("。",), schema='{"type": "object"}')
    generator = VllmGenerator([await start(server)])
    _ = [piece async for piece in generator.stream(ASKED, model="base", max_tokens=8, form=form)]
    [asked] = server.asked
    assert asked["stop"] == ["。"]
    schema = {"name": "answer", "schema": {"type": "object"}}
    assert asked["response_format"] == {"type": "json_schema", "json_schema": schema}


async def test_calls_of_tools_are_put_together_and_come_before_the_usage(start: Start) -> None:
    class Calls(Server):
        async def say(self, response: web.StreamResponse) -> None:
            opened = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "rate"}}
            pieces = [
                opened,
                *({"index": 0, "function": {"arguments": part}} for part in ('{"of": ', '"EUR"}')),
            ]
            other = {"index": 1, "id": "call_2", "function": {"name": "time", "arguments": "{}"}}
            for piece in (*pieces, other):
                event = {"choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]}
                await response.write(f"data: {json.dumps(event)}\n\n".encode())
            await super().say(response)

    server = Calls()
    first = ToolCall("call_1", "rate", '{"of": "EUR"}')
    offered = Tools('[{"type": "function", "function": {"name": "rate"}}]', '"required"')
    turns = [*ASKED, Turn("assistant", "", (first,)), Turn("tool", "163", result_of="call_1")]
    pieces = VllmGenerator([await start(server)]).stream(turns, model="base", max_tokens=8, tools=offered)
    assert [piece async for piece in pieces] == [
        first,
        ToolCall("call_2", "time", "{}"),
        Usage(5, 2, cut=False),
    ]
    [asked] = server.asked
    assert (asked["tools"], asked["tool_choice"]) == (json.loads(offered.offered), "required")
    call = {"id": "call_1", "type": "function", "function": {"name": "rate", "arguments": '{"of": "EUR"}'}}
    assert asked["messages"][-2:] == [  # type: ignore[index]
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "163", "tool_call_id": "call_1"},
    ]


async def test_connections_are_kept_inside_async_with(start: Start) -> None:
    async with VllmGenerator([await start(Server("はい"))]) as generator:
        assert await written(generator) == await written(generator) == ["はい"]


async def test_servers_take_turns(start: Start) -> None:
    one, two = Server("一"), Server("二")
    generator = VllmGenerator([await start(one), await start(two)])
    assert [await written(generator) for _ in range(4)] == [["一"], ["二"], ["一"], ["二"]]


async def test_a_dead_server_is_passed_over_and_named_when_it_was_the_last(start: Start) -> None:
    generator = VllmGenerator(["http://127.0.0.1:9/", await start(Server("はい"))])
    assert await written(generator) == await written(generator) == ["はい"]
    with pytest.raises(PartUnavailable, match=r"vLLM at http://127\.0\.0\.1:9"):
        await written(VllmGenerator(["http://127.0.0.1:9"]))


async def test_a_model_the_server_does_not_know_has_an_error_of_its_own(start: Start) -> None:
    with pytest.raises(UnknownModel, match="ada-7f3"):
        await written(VllmGenerator([await start(Server())]), model="ada-7f3")


@pytest.mark.parametrize("end", ["", '{"error": {"message": "EngineCore died"}}', "{"])
async def test_an_answer_that_is_cut_is_an_error_and_not_asked_again(start: Start, end: str) -> None:
    first, second = Server("11,000", end=end), Server("二")
    generator = VllmGenerator([await start(first), await start(second)])
    with pytest.raises(PartUnavailable, match="vLLM at http"):
        await written(generator)
    assert not second.asked


async def test_a_silent_server_is_given_up(start: Start) -> None:
    generator = VllmGenerator([await start(Server("はい", pause=5))], timeout=0.1)
    with pytest.raises(PartUnavailable, match="imeout"):
        await written(generator)


@pytest.mark.parametrize(("status", "kind"), [(400, TooLong), (500, ModelUnwell), (503, PartUnavailable)])
async def test_a_refusal_repeats_what_the_server_said(
    start: Start, status: int, kind: type[PartError]
) -> None:
    with pytest.raises(PartError, match=f"answered {status}: .*maximum context length") as caught:
        await written(VllmGenerator([await start(Server(status=status))]))
    assert type(caught.value) is kind


async def test_whoever_stops_listening_stops_the_server(start: Start) -> None:
    server = Server(*"長い話をします" * 100, pause=0.01)
    stream = VllmGenerator([await start(server)]).stream(ASKED, model="base", max_tokens=256)
    assert await anext(stream) == "長"
    await stream.aclose()  # type: ignore[attr-defined]
    await asyncio.wait_for(server.cut_off.wait(), 5)
