"""Which of several model servers is asked: the one that knows the asker, unless others have less to do.

A server keeps what it has computed of a prompt's beginning, so one asker's questions are best sent to one
server. Servers are ranked for each asker by rendezvous hashing (Thaler & Ravishankar, 1998): when one goes,
its askers alone move, and when it comes back they return. The first in that order is asked whose load, with
this question, stays within 1.25 times the mean (consistent hashing with bounded loads: Mirrokni, Thorup &
Zadimoghaddam, 2018); the others follow, the least loaded first, for when it does not answer.

Load is what this process has under way: each process of the chat service routes by what it sees itself.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256

SLACK = 1.25  # times the mean load, up to which an asker stays with a server
LEFT_OUT_FOR = 5.0  # seconds after the first failure; twice as long after each further one
LONGEST_LEFT_OUT = 160.0


@dataclass
class _Server:
    url: str
    load: int = 0
    failures: int = 0  # since it answered last
    out_until: float = 0.0
    looked_at: bool = False  # somebody asks whether it is back

    @property
    def out(self) -> bool:
        return self.failures > 0


class Fleet:
    """The servers, what each has to do, and which are left out. To be used from one thread at a time."""

    def __init__(self, urls: Sequence[str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._servers = {url: _Server(url) for url in urls}
        self._clock = clock
        self._turn = itertools.count()

    def __len__(self) -> int:
        return len(self._servers)

    def order(self, session: str = "") -> list[str]:
        """Return the servers in the order in which to ask them; those that are left out come last."""
        ranked = list(self._servers.values())
        if session:
            ranked.sort(key=lambda server: _rank(server.url, session))
        else:  # nobody's in particular: in turn
            first = next(self._turn) % len(ranked)
            ranked = [*ranked[first:], *ranked[:first]]
        well = [server for server in ranked if not server.out]
        bound = math.ceil(SLACK * (1 + sum(server.load for server in well)) / max(len(well), 1))
        by_load = sorted(well, key=lambda server: server.load)
        if session:
            first_choice = next((server for server in well if server.load < bound), None)
            by_load.sort(key=lambda server: server is not first_choice)
        left_out = sorted((server for server in ranked if server.out), key=lambda server: server.out_until)
        return [server.url for server in (*by_load, *left_out)]

    @contextmanager
    def at_work(self, url: str) -> Iterator[None]:
        """Count a question as being this server's to answer."""
        server = self._servers[url]
        server.load += 1
        try:
            yield
        finally:
            server.load -= 1

    def answers(self, url: str) -> None:
        """Note that a server answers."""
        self._servers[url].failures = 0

    def fails(self, url: str) -> None:
        """Leave a server out for a while: longer each time, until it answers."""
        server = self._servers[url]
        server.failures += 1
        seconds = LEFT_OUT_FOR * 2 ** min(server.failures - 1, 10)
        server.out_until = self._clock() + min(seconds, LONGEST_LEFT_OUT)

    @contextmanager
    def look(self, url: str) -> Iterator[None]:
        """Let nobody else ask meanwhile whether a server is back."""
        server = self._servers[url]
        server.looked_at = True
        try:
            yield
        finally:
            server.looked_at = False

    def to_look_at(self) -> list[str]:
        """Return the servers that were left out for long enough, and that nobody is looking at."""
        now = self._clock()
        return [
            server.url
            for server in self._servers.values()
            if server.out and server.out_until <= now and not server.looked_at
        ]


def _rank(url: str, session: str) -> bytes:
    return sha256(f"{session}\0{url}".encode()).digest()
