"""Two model servers as real processes, one of them killed while people ask."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from kiban.backends import fleet
from kiban.backends.vllm_generator import VllmGenerator
from kiban.domain.access import EVERYONE
from kiban.domain.document import Place
from kiban.domain.question import Turn
from kiban.errors import ModelUnwell
from kiban.testing import ModelServer
from kiban.testing.model_process import model_process
from services.chat.testing import MemoryHouse, serving

WRITTEN = {
    "one": "一つ目のサーバーが書いた長めの答え。" * 4,
    "two": "二つ目のサーバーが書いた長めの答え。" * 4,
}
ASKERS = 8


@dataclass
class Load:
    """People who ask again and again, and what came of it."""

    generator: VllmGenerator
    by_server: Counter[str] = field(default_factory=Counter)
    cut: int = 0  # had text, and then no end
    enough: bool = False

    async def run(self) -> None:
        await asyncio.gather(*(self._ask_on(f"asker{number}") for number in range(ASKERS)))

    async def _ask_on(self, asker: str) -> None:
        while not self.enough:
            await self.ask(asker)

    async def ask(self, asker: str) -> str:
        """Any error that is not a cut is a failed request that could have been asked elsewhere."""
        text = ""
        pieces = self.generator.stream([Turn("user", "？")], model="base", max_tokens=8, session=asker)
        try:
            async for piece in pieces:
                text += piece if isinstance(piece, str) else ""
        except ModelUnwell:
            assert text, "it failed before the first text"
            self.cut += 1
            return ""
        [server] = [name for name, written in WRITTEN.items() if written == text]
        self.by_server[server] += 1
        return server

    async def until(self, server: str, answers: int) -> None:
        wanted, deadline = self.by_server[server] + answers, time.monotonic() + 60
        while self.by_server[server] < wanted:
            assert time.monotonic() < deadline, f"{server} does not answer"
            await asyncio.sleep(0.01)


async def test_a_killed_server_costs_nobody_an_answer_that_had_not_begun_and_comes_back(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(fleet, "LEFT_OUT_FOR", 0.2)
    with model_process(WRITTEN["one"], pause=0.002) as one:
        with model_process(WRITTEN["two"], pause=0.002) as two:
            async with VllmGenerator([one.url, two.url], timeout=10) as generator:
                load = Load(generator)
                running = asyncio.create_task(load.run())
                await load.until("one", 5)
                await load.until("two", 5)
                one.process.kill()
                await load.until("two", 20)
                assert load.cut <= ASKERS  # one each, of which something had been shown
                port = urlsplit(one.url).port or 0
                with model_process(WRITTEN["one"], pause=0.002, port=port):
                    await load.until("one", 5)
                    load.enough = True
                    await running


async def test_a_person_is_answered_by_one_server_while_others_have_time() -> None:
    with model_process(WRITTEN["one"]) as one, model_process(WRITTEN["two"]) as two:
        async with VllmGenerator([one.url, two.url], timeout=10) as generator:
            load = Load(generator)
            by_asker = {f"asker{n}": {await load.ask(f"asker{n}") for _ in range(3)} for n in range(12)}
    assert all(len(servers) == 1 for servers in by_asker.values())
    assert len(set.union(*by_asker.values())) == 2


def test_a_closed_tab_stops_the_model(tmp_path: Path) -> None:
    """From the browser's connection to the model server's, through the whole service."""
    server = ModelServer(lambda turns, model: "長い話をします。" * 200, pause=0.02)
    with server.serving() as url:
        house = MemoryHouse(tmp_path, {}, lambda turns: ())
        house.shelve("旅費規程", frozenset({EVERYONE}), (Place(), "宿泊費は11,000円を上限とする。"))
        house.stream = VllmGenerator([url], timeout=10).stream  # type: ignore[method-assign]
        body = {"model": "kiban", "messages": [{"role": "user", "content": "宿泊費は？"}], "stream": True}
        headers = {"Authorization": f"Bearer {house.token('sato')}"}
        with serving(house) as chat, httpx.Client(headers=headers) as tab:
            with tab.stream("POST", f"{chat}/v1/chat/completions", json=body) as answer:
                next(answer.iter_lines())
                assert server.writing == 1
            deadline = time.monotonic() + 10
            while server.writing and time.monotonic() < deadline:
                time.sleep(0.01)
    assert server.writing == 0
