"""What our service, our flows and our idempotency cost: ratios of two things timed in turns, in one run."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from kiban.answer import prompt
from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.queue import PostgresQueue
from kiban.backends.postgres.scratch import scratch_database
from kiban.bench.server import Server
from kiban.domain.document import IngestReport
from kiban.errors import PartUnavailable
from kiban.ingest import absorb
from kiban.ingest.absorb import Cutter, Reading
from kiban.ingest.chunking import CHUNKING
from kiban.wiring import House
from kiban.wiring.base import BASE_MODEL
from kiban.wiring.furniture import Furniture

ROUNDS = 7
QUESTION = "国内出張の宿泊費は1泊につきいくらまでですか。"


@dataclass(frozen=True, slots=True)
class Ratio:
    """Medians of both sides, and of the ratio per round with its quartiles."""

    name: str
    ours: float  # seconds
    other: float  # seconds
    ratio: float
    low: float  # first quartile
    high: float  # third quartile
    rounds: int


def in_turns(name: str, ours: Callable[[], float], other: Callable[[], float], rounds: int = ROUNDS) -> Ratio:
    """Time both sides in turns, ABAB, so that both meet the same machine. Each returns its seconds."""
    pairs = [(ours(), other()) for _ in range(rounds)]
    low, middle, high = statistics.quantiles([a / b for a, b in pairs], n=4, method="inclusive")
    return Ratio(
        name,
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        middle,
        low,
        high,
        rounds,
    )


def first_text(house: House, person: str, rounds: int = ROUNDS) -> Ratio:
    """Time to the first text: our service (token, search, ledger, proof) over vLLM asked directly with the
    same final prompt."""
    who = house.answers.caller(house.answers.token(person)).who
    release = house.releases.in_force()
    turns = prompt.render(QUESTION, house.answers.find(QUESTION, who))
    url = f"{_chat(house)}/v1/chat/completions"
    body = {"model": "kiban", "stream": True, "messages": [{"role": "user", "content": QUESTION}]}
    client = httpx.Client(headers={"Authorization": f"Bearer {house.answers.token(person)}"}, timeout=120)

    def ours() -> float:
        began = time.perf_counter()
        with client.stream("POST", url, json=body) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: {") and json.loads(line[6:])["choices"][0]["delta"].get("content"):
                    return time.perf_counter() - began
        raise PartUnavailable("chat sent no text.")

    async def direct() -> float:
        began = time.perf_counter()
        model = release.adapter or BASE_MODEL
        async for _ in house.furniture.base.generator.stream(turns, model=model, max_tokens=64):
            return time.perf_counter() - began
        raise PartUnavailable("vLLM sent no text.")

    ours(), asyncio.run(direct())  # both sides warm
    return in_turns("first text: our service / vLLM direct", ours, lambda: asyncio.run(direct()), rounds)


def unchanged(furniture: Furniture, documents: Path, on: Server, rounds: int = 3) -> Ratio:
    """A second ingest of an unchanged folder over the first, in a database of its own on a server."""
    embedder = furniture.embedder(furniture.base_embedder)

    def first_and_again() -> tuple[float, float]:
        with scratch_database(on.admin, on.passwords) as postgres:
            library = PostgresLibrary(postgres)
            generation = library.add_generation(
                "bench", "bench", embedder.dimensions, furniture.tokenizer.name, CHUNKING
            )

            def run() -> float:
                began = time.perf_counter()
                reading = Reading(
                    library,
                    PostgresQueue(postgres),
                    furniture.parser,
                    (Cutter(furniture.tokenizer, {generation: embedder}),),
                )
                absorb.run(furniture.source(str(documents)), reading)
                return time.perf_counter() - began

            return run(), run()

    timed = [first_and_again() for _ in range(rounds)]
    again, first = iter([b for _, b in timed]), iter([a for a, _ in timed])
    return in_turns("ingest: unchanged / first", lambda: next(again), lambda: next(first), rounds)


def orchestration(house: House, rounds: int = 5, files: int = 100) -> Ratio:
    """The ingest flow over the same steps as plain functions, each on new files that nobody may read."""
    from flows.ingest import ingest

    def timed(run: Callable[[str], IngestReport]) -> float:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for number in range(files):
                (folder / f"{number}.txt").write_text(
                    f"第{number}条 {os.urandom(8).hex()}は{number}日とする。"
                )
            began = time.perf_counter()
            run(name)
            seconds = time.perf_counter() - began
            for path in folder.iterdir():
                path.unlink()
            house.documents.survey(name, allow_deleting=True)
            return seconds

    timed(house.documents.ingest)  # models loaded
    return in_turns(
        "ingest: flow / plain functions", lambda: timed(ingest), lambda: timed(house.documents.ingest), rounds
    )


def _chat(house: House) -> str:
    return f"http://{house.furniture.settings.host}:{house.furniture.settings.chat_port}"
