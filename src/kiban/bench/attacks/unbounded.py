"""C5: somebody asks for as much as the API can be asked for. Do others notice? (OWASP LLM10, 2025.)"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlsplit

import httpx
import numpy as np

from kiban.bench.attacks import Figure
from kiban.bench.attacks.answering import QUESTION, Answering, answering
from kiban.bench.attacks.stage import Stage

IDLE = 500  # streams that nobody reads
ASKED = 40  # questions of others, a round
ROUNDS = 5  # quiet and attacked, in turns
OTHERS = ("person01", "person02", "person03", "person04")
PAUSE = 0.02  # seconds between pieces: an answer takes as long as a small model's
JSON = {"Content-Type": "application/json"}
NEXT = 0.2  # seconds between two tries of one attacker
ALLOWED = 1.5
STOPPED_WITHIN = 10.0  # seconds


@lru_cache
def _body(question: str, **more: int) -> bytes:
    """Return a request, put into bytes once: its sender shares this process with the service."""
    asked = {"model": "kiban", "messages": [{"role": "user", "content": question}], **more}
    return json.dumps(asked).encode()


@dataclass
class Attack:
    """What one person does at once, and which statuses they got."""

    house: Answering
    statuses: Counter[int] = field(default_factory=Counter)
    enough: threading.Event = field(default_factory=threading.Event)

    def too_many_choices(self, client: httpx.Client) -> int:
        return self._ask(client, n=16384)

    def too_many_tokens(self, client: httpx.Client) -> int:
        return self._ask(client, max_tokens=10**9)

    def too_long(self, client: httpx.Client) -> int:
        return self._ask(client, "あ" * 350_000)  # 1 MB

    def _ask(self, client: httpx.Client, question: str = QUESTION, **more: int) -> int:
        body = _body(question, **more)
        return client.post(f"{self.house.url}/v1/chat/completions", content=body, headers=JSON).status_code

    def keep_on(self, act: Callable[[httpx.Client], int]) -> None:
        with self.house.client("person00") as client:
            while not self.enough.wait(NEXT):
                self.statuses[act(client)] += 1


def unbounded_use(stage: Stage) -> Figure:
    """Measure others' answers with and without somebody who asks for everything, in turns."""
    from services.chat.quota import Quota

    # As served by default, but that the others may ask as often as the measurement needs.
    quota = Quota(answers=10**6)
    ratios, every, taken = [], Counter[int](), 0
    with answering(stage, quota=quota) as house:
        house.servers[0].pause = PAUSE
        _others(house)  # warm
        for _ in range(ROUNDS):
            quiet = _others(house)
            with _attacked(house, round(IDLE * min(1.0, stage.scale * 20))) as attack:
                ratios.append(float(np.percentile(_others(house), 99) / np.percentile(quiet, 99)))
            every += attack.statuses
        taken = _left_writing(house)
    # Whoever asks for a long answer gets one of the usual length, as long as it is their turn.
    let_in = {status: count for status, count in every.items() if status not in (200, 413, 422, 429)}
    ratio = float(np.median(ratios))
    return Figure(
        "C5",
        "n = 16,384, 1 MB prompts, a billion tokens, streams that nobody reads; do others notice?",
        f"others' p99 × {ratio:.2f}; {sum(let_in.values())} of {every.total()} not bounded",
        f"p99 × ≤ {ALLOWED}; all bounded; nothing written for who has gone",
        ratio <= ALLOWED and not let_in and taken == 0,
        every.total(),
        f"rounds {', '.join(f'{one:.2f}' for one in ratios)}; statuses "
        f"{', '.join(f'{status}: {count}' for status, count in sorted(every.items()))}; "
        f"{taken} answers written after all had hung up",
    )


def _others(house: Answering) -> list[float]:
    """Let others ask, and return how long each answer took them, whole: for ever, if it failed."""
    took: list[float] = []

    def ask(person: str) -> None:
        with house.client(person) as client:
            for _ in range(ASKED // len(OTHERS)):
                began = time.perf_counter()
                received = house.ask(client)
                took.append(time.perf_counter() - began if received.answered else float("inf"))

    people = [threading.Thread(target=ask, args=[person]) for person in OTHERS]
    for each in people:
        each.start()
    for each in people:
        each.join()
    return took


@contextmanager
def _attacked(house: Answering, idle: int) -> Iterator[Attack]:
    attack = Attack(house)
    acts = (attack.too_many_choices, attack.too_many_tokens, attack.too_long)
    threads = [threading.Thread(target=attack.keep_on, args=[act]) for act in acts]
    with ExitStack() as streams:
        for _ in range(idle):
            streams.enter_context(_unread(house))
        for each in threads:
            each.start()
        try:
            yield attack
        finally:
            attack.enough.set()
            for each in threads:
                each.join()


@contextmanager
def _unread(house: Answering) -> Iterator[None]:
    """Ask for a stream, and read nothing of it."""
    where = urlsplit(house.url)
    token = house.furniture.issuer.issue("person00", 1, house.furniture.settings.token_audience)
    body = b'{"model": "kiban", "stream": true, "messages": [{"role": "user", "content": "%s"}]}'
    asked = body % QUESTION.encode()
    with socket.create_connection((where.hostname or "", where.port or 0)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        connection.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(asked)}\r\n\r\n".encode()
            + asked
        )
        yield


def _left_writing(house: Answering) -> int:
    """Return how many answers the model still writes for people who have gone."""
    until = time.monotonic() + STOPPED_WITHIN
    while (left := house.servers[0].writing) and time.monotonic() < until:
        time.sleep(0.05)
    return left
