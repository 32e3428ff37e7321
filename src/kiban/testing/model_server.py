"""A model server over HTTP with vLLM's routes and habits, and with faults to order."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

from aiohttp import web

from kiban.domain.question import Turn
from kiban.testing.serving import MemoryAdapterHost

PIECE = 6  # characters
Write = Callable[[Sequence[Turn], str], str]  # (turns, model) -> text


class Fault(StrEnum):
    NONE = "none"
    CUTS = "dies in the middle of an answer"
    HANGS = "falls silent in the middle of an answer"
    SILENT = "takes the question and says nothing"
    BROKEN_ADAPTERS = "answers 500 for adapters, and well for the base model"
    FORGETFUL = "was restarted, and knows no adapter"


class ModelServer:
    """Serves `write` as a chat model, and adapters as MemoryAdapterHost does, on a port of its own."""

    def __init__(self, write: Write, *, pause: float = 0.0) -> None:
        self.write = write
        self.pause = pause  # seconds between pieces
        self.fault = Fault.NONE
        self.host = MemoryAdapterHost()
        self.asked: list[dict[str, Any]] = []
        self.writing = 0  # answers, now
        self.keys: list[str] = []  # the Authorization headers of chats

    @contextmanager
    def serving(self, port: int = 0) -> Iterator[str]:
        """Yield the address while it listens; on any free port without one."""
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/completions", self._probabilities)
        app.router.add_post("/v1/load_lora_adapter", self._load)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/health", self._health)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        loop, enough, ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()

        async def serve() -> None:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", port).start()
            ready.set()
            await enough.wait()
            await runner.cleanup()

        thread = threading.Thread(target=loop.run_until_complete, args=[serve()], daemon=True)
        thread.start()
        ready.wait()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            loop.call_soon_threadsafe(enough.set)
            thread.join()
            loop.close()

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append(body)
        self.keys.append(request.headers.get("Authorization", ""))
        model, adapted = body["model"], body["model"] in self.host.adapters()
        if (adapted and self.fault is Fault.FORGETFUL) or (not adapted and model != self.host.base_model):
            return web.json_response(
                {"error": {"message": f"The model `{model}` does not exist."}}, status=404
            )
        if adapted and self.fault is Fault.BROKEN_ADAPTERS:
            return web.json_response({"error": {"message": "EngineCore encountered an issue"}}, status=500)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self.writing += 1
        try:
            turns = [Turn(m["role"], m["content"]) for m in body["messages"]]
            await self._say(request, response, self.write(turns, model))
        finally:
            self.writing -= 1
        return response

    async def _say(self, request: web.Request, response: web.StreamResponse, text: str) -> None:
        fault = self.fault
        if fault is Fault.SILENT:
            await asyncio.sleep(3600)
        pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
        for number, piece in enumerate(pieces):
            if number == max(len(pieces) // 2, 1) and fault is Fault.HANGS:
                await asyncio.sleep(3600)
            if number == max(len(pieces) // 2, 1) and fault is Fault.CUTS:
                assert request.transport is not None
                request.transport.abort()
                return
            event = {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
            await response.write(f"data: {json.dumps(event)}\n\n".encode())
            await asyncio.sleep(self.pause)
        await response.write(b"data: [DONE]\n\n")

    async def _models(self, request: web.Request) -> web.Response:
        base = {"id": self.host.base_model, "root": "/models/base", "parent": None}
        held = [
            {"id": name, "root": str(path), "parent": self.host.base_model}
            for name, path in self.host.paths.items()
        ]
        return web.json_response({"data": [base, *held]})

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response()

    async def _load(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.host.load(body["lora_name"], Path(body["lora_path"]))
        return web.Response(text="Success")

    async def _probabilities(self, request: web.Request) -> web.Response:
        body = await request.json()
        found = self.host.logprobs(body["model"], body["prompt"])
        choices = [
            {"index": at, "prompt_logprobs": [None, *({"0": {"logprob": value}} for value in tokens)]}
            for at, tokens in enumerate(found)
        ]
        return web.json_response({"choices": choices})
