"""Many streams of a chat API at once, timed: one process, one event loop, no thread a stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass

import aiohttp
import numpy as np

LONGEST = aiohttp.ClientTimeout(total=120)


@dataclass(frozen=True, slots=True)
class Door:
    """Where a chat API listens, and what it calls the model."""

    name: str
    url: str
    model: str
    token: str = ""


@dataclass(frozen=True, slots=True)
class Streamed:
    """One stream. Seconds from when its request was sent."""

    first: float  # text
    whole: float
    pieces: int  # of text


@dataclass(frozen=True, slots=True)
class Load:
    """What came of a load."""

    streams: tuple[Streamed, ...]
    failed: int
    seconds: float

    def first(self, percentile: float) -> float:
        return float(np.percentile([one.first for one in self.streams], percentile))

    def whole(self, percentile: float) -> float:
        return float(np.percentile([one.whole for one in self.streams], percentile))

    @property
    def pieces_a_second(self) -> float:
        return sum(one.pieces for one in self.streams) / self.seconds

    @property
    def between_pieces(self) -> float:
        """Return the median over streams of seconds from one piece to the next."""
        gaps = [(one.whole - one.first) / max(one.pieces - 1, 1) for one in self.streams]
        return float(np.median(gaps))


def load(door: Door, question: str, *, at_once: int, count: int) -> Load:
    """Ask `count` times, `at_once` at a time, each next as soon as one has ended."""
    return asyncio.run(_load(door, question, at_once, count))


async def _load(door: Door, question: str, at_once: int, count: int) -> Load:
    left = iter(range(count))
    headers = {"Authorization": f"Bearer {door.token}"} if door.token else {}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=headers, timeout=LONGEST, connector=connector) as session:
        began = time.perf_counter()
        workers = [_ask_on(session, door, question, left) for _ in range(at_once)]
        told = [one for of in await asyncio.gather(*workers) for one in of]
        seconds = time.perf_counter() - began
    streams = tuple(one for one in told if one is not None)
    return Load(streams, len(told) - len(streams), seconds)


async def _ask_on(
    session: aiohttp.ClientSession, door: Door, question: str, left: Iterator[int]
) -> list[Streamed | None]:
    found = []
    for _ in left:
        found.append(await ask(session, door, question))
    return found


async def ask(session: aiohttp.ClientSession, door: Door, question: str) -> Streamed | None:
    """Ask once; None when it failed."""
    body = {"model": door.model, "stream": True, "messages": [{"role": "user", "content": question}]}
    sent, first, pieces, ended = time.perf_counter(), 0.0, 0, False
    try:
        async with session.post(f"{door.url}/v1/chat/completions", json=body) as response:
            async for line in response.content:
                if b'"content"' in line and b'"content":""' not in line:
                    first = first or time.perf_counter() - sent
                    pieces += 1
                ended = ended or line.startswith(b"data: [DONE]")
    except (aiohttp.ClientError, TimeoutError):
        return None
    return Streamed(first, time.perf_counter() - sent, pieces) if ended and pieces else None
