"""One side of the comparison: a process that stores and asks, and what it weighs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil
import psycopg

from kiban.errors import PartUnavailable

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Stored:
    seconds: float
    versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class Again:
    seconds: float
    embeds_again: bool


@dataclass(frozen=True, slots=True)
class Ranked:
    rankings: list[list[int]]  # numbers of chunks, best first, one list a question
    milliseconds: list[float]


@dataclass(frozen=True, slots=True)
class Memory:
    """In MB. Shared memory counts once: a backend's share of it is proportional."""

    client_mb: float
    backend_mb: float
    table_mb: float


@dataclass
class SideProcess:
    """A script of infra/bench/peers/, run by the Python of its environment. Raises PartUnavailable."""

    name: str
    python: Path
    script: Path
    folder: Path
    dsn: str
    passwords: Mapping[str, str] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [self.python, self.script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()

    def ingest(self) -> Stored:
        asked = {"folder": str(self.folder), "dsn": self.dsn, "passwords": dict(self.passwords)}
        told = self._tell({"do": "ingest", **asked})
        return Stored(told["seconds"], told["versions"])

    def again(self) -> Again:
        return Again(**self._tell({"do": "again"}))

    def ask(self, first: int, last: int, k: int, lane: str = "") -> Ranked:
        return Ranked(**self._tell({"do": "ask", "first": first, "last": last, "k": k, "lane": lane}))

    def memory(self) -> Memory:
        client = psutil.Process(self._process.pid).memory_info().rss / MB
        with psycopg.connect(self.dsn) as tx:
            found = tx.execute(
                "select pid from pg_stat_activity where datname = current_database()"
                " and backend_type = 'client backend' and pid <> pg_backend_pid()"
            )
            backends = sum(_proportional(pid) for (pid,) in found)
            size = tx.execute("select pg_database_size(current_database())").fetchone()
        return Memory(client, backends / MB, (size or (0,))[0] / MB)

    def _tell(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps(asked) + "\n")
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise PartUnavailable(
                f"{self.name} ({self.script.name}) died; what it said is above.", mend="make bench-peers"
            )
        told: dict[str, Any] = json.loads(line)
        return told


def _proportional(pid: int) -> int:
    """Return a process's proportional set size in bytes; 0 where it is gone, or is not on this machine."""
    try:
        return int(psutil.Process(pid).memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
