"""How a peer is driven: one JSON object a line in, one out. It gets texts and vectors, so that no two sides
can differ in either, and is timed around its own calls alone.

    {"do": "ingest", "folder": DIR, "dsn": DSN}   -> {"seconds": 1.2, "rows": 1145}
    {"do": "again"}                               -> {"seconds": 0.1, "embeds_again": false}
    {"do": "ask", "first": 0, "last": 50, "k": 10} -> {"rankings": [[3, 17]], "milliseconds": [4.1]}

Ours is driven the same way, in our own environment; "passwords" and "lane" are for it alone.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import numpy as np

os.environ.update(HAYSTACK_TELEMETRY_ENABLED="False", LANGSMITH_TRACING="false", DO_NOT_TRACK="true")


@dataclass(frozen=True)
class Load:
    """What every side stores and is asked."""

    dsn: str
    passwords: dict[str, str]
    texts: list[str]  # one a chunk, all different
    documents: list[str]  # of each chunk
    terms: list[list[str]]  # the lexical terms of each chunk
    vectors: np.ndarray  # chunks x dimensions, float32, unit length
    questions: list[str]
    question_terms: list[list[str]]
    question_vectors: np.ndarray
    parts: list[str]  # of questions in two parts, for the side that takes them apart
    part_terms: list[list[str]]
    part_vectors: np.ndarray

    @property
    def url(self) -> str:
        """Return the address as SQLAlchemy writes it, without a driver."""
        parts = dict(part.split("=", 1) for part in self.dsn.split())
        login = f"{parts['user']}:{parts.get('password', '').strip(chr(39))}"
        return f"{login}@{parts['host']}:{parts['port']}/{parts['dbname']}"

    def vector_of(self) -> dict[str, list[float]]:
        """Return the embedder: it looks up."""
        known = dict(zip(self.texts, self.vectors.tolist(), strict=True))
        known |= dict(zip(self.parts, self.part_vectors.tolist(), strict=True))
        return known | dict(zip(self.questions, self.question_vectors.tolist(), strict=True))


class Peer(Protocol):
    """One way to store and find chunks. Chunks are named by their number."""

    embeds_again: bool  # its documented way embeds what is unchanged once more

    def ingest(self) -> None: ...

    def again(self) -> None: ...

    def ask(self, number: int, k: int) -> list[int]:
        """Return the numbers of the best k chunks for a question, best first."""
        ...


def serve(make: type, *packages: str) -> None:
    """Answer on standard output what is asked on standard input, until that ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints goes to standard error
    peer, load = None, None
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["do"] == "ingest":
            load = _read(Path(asked["folder"]), asked["dsn"], asked.get("passwords", {}))
            peer = make(load)
            told = {"seconds": _timed(peer.ingest), "rows": len(load.texts)}
            told["versions"] = {name: version(name) for name in packages}
        elif asked["do"] == "again":
            told = {"seconds": _timed(peer.again), "embeds_again": peer.embeds_again}
        else:
            peer.lane = asked.get("lane", "")
            told = _asked(peer, range(asked["first"], asked["last"]), asked["k"])
        print(json.dumps(told), file=answers, flush=True)


def _asked(peer: Peer, numbers: range, k: int) -> dict[str, object]:
    rankings, milliseconds = [], []
    for number in numbers:
        began = time.perf_counter()
        rankings.append(peer.ask(number, k))
        milliseconds.append((time.perf_counter() - began) * 1000)
    return {"rankings": rankings, "milliseconds": milliseconds}


def _timed(work: object) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _read(folder: Path, dsn: str, passwords: dict[str, str]) -> Load:
    chunks = [json.loads(line) for line in (folder / "chunks.jsonl").open(encoding="utf-8")]
    asked = [json.loads(line) for line in (folder / "questions.jsonl").open(encoding="utf-8")]
    parts = [json.loads(line) for line in (folder / "parts.jsonl").open(encoding="utf-8")]
    return Load(
        dsn,
        passwords,
        [chunk["text"] for chunk in chunks],
        [chunk["document"] for chunk in chunks],
        [chunk["terms"] for chunk in chunks],
        np.load(folder / "chunks.npy"),
        [question["text"] for question in asked],
        [question["terms"] for question in asked],
        np.load(folder / "questions.npy"),
        [part["text"] for part in parts],
        [part["terms"] for part in parts],
        np.load(folder / "parts.npy"),
    )
