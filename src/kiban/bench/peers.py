"""Our search beside others', in one run: the same chunks, vectors and questions, asked in turns.

Each peer is a process in an environment of its own (infra/bench/peers/), with a database of its own on
the same server. Embedding is left out of every time: all sides are handed the same vectors.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kiban.backends.postgres.scratch import blank_database
from kiban.bench import metrics, retrieval, uncertainty
from kiban.bench.beir import JudgedQuestion
from kiban.bench.peer_load import PeerLoad
from kiban.bench.peer_process import Ranked, SideProcess
from kiban.bench.retrieval import LaneFigures, without_itself
from kiban.ports import Progress

PEERS = {
    "bm25s": "bm25.py",
    "pgvector": "plain_pgvector.py",
    "haystack": "haystack_pgvector.py",
    "llamaindex": "llama_index_pgvector.py",
    "langchain": "langchain_pgvector.py",
}
OURS = {"kiban dense": "dense", "kiban lexical": "lexical", "kiban fused": "fused"}
OUR_SCRIPT = "kiban_search.py"
ROUNDS = 7
DEEP = 200  # chunks asked for when quality is measured, so that fifty documents are among them
SHALLOW = 10  # chunks asked for when queries are timed


@dataclass(frozen=True, slots=True)
class SideFigures:
    """One side on one set."""

    quality: LaneFigures | None  # None where the set is not judged; its times are of deep searches
    better: tuple[float, float, float] | None  # our fused nDCG@10 less theirs, with the paired 95 % interval
    p50_ms: float  # of the 10 best chunks
    p95_ms: float
    store_chunks_per_second: float  # without embedding; the index included
    again_seconds: float  # the unchanged corpus once more
    embeds_again: bool  # and then it would embed everything a second time
    client_mb: float  # resident memory of its process, the corpus and its vectors included
    backend_mb: float  # proportional memory of its Postgres connections
    table_mb: float  # its database
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PeerRun:
    """All sides on one set. `ratios` are ours over theirs, below 1 where ours is less, by kind of figure."""

    name: str
    documents: int
    chunks: int
    questions: int
    embed_seconds: float  # of all chunks, once, for everybody
    embed_query_ms: float
    load_at_start: float
    cores: int
    sides: dict[str, SideFigures]
    ratios: dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A side, asked in one of its lanes."""

    side: SideProcess
    lane: str = ""

    def ask(self, first: int, last: int, k: int) -> Ranked:
        return self.side.ask(first, last, k, self.lane)


def run(
    load: PeerLoad,
    *,
    python: Path,
    adapters: Path,
    admin_dsn: str,
    passwords: Mapping[str, str],
    peers: Sequence[str] = tuple(PEERS),
    progress: Progress = lambda done, total, what: None,
) -> PeerRun:
    """Store and ask on every side; `python` is that of the peers' environment.

    Raises PartUnavailable when a side or Postgres fails.
    """
    started = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        load.write(folder)
        sides = {}
        for side in ("kiban", *peers):
            dsn = stack.enter_context(blank_database(admin_dsn))
            ours = side == "kiban"
            runner, script = (Path(sys.executable), OUR_SCRIPT) if ours else (python, PEERS[side])
            secrets = passwords if ours else {}
            process = SideProcess(side, runner, adapters / script, folder, dsn, secrets)
            sides[side] = stack.enter_context(process)
        stored = {}
        for at, (side, one) in enumerate(sides.items(), start=1):
            stored[side] = one.ingest()
            progress(at, len(sides), "store")
        asked = {name: Asked(sides["kiban"], lane) for name, lane in OURS.items()}
        asked |= {side: Asked(one) for side, one in sides.items() if side != "kiban"}
        deep = {side: _deep(one, load, progress, side) for side, one in asked.items()} if load.asked else {}
        quick = _in_turns(asked, load, progress)
        again = {side: one.again() for side, one in sides.items()}
        memory = {side: one.memory() for side, one in sides.items()}
    best = _ndcgs(load.asked, deep["kiban fused"][0]) if deep else []
    figures = {}
    for side in asked:
        owner = "kiban" if side in OURS else side
        rankings = deep[side] if deep else None
        theirs = _ndcgs(load.asked, rankings[0]) if rankings else []
        figures[side] = SideFigures(
            quality=retrieval.figures(load.asked, *rankings) if rankings else None,
            better=uncertainty.difference(best, theirs) if rankings and side != "kiban fused" else None,
            p50_ms=statistics.median(quick[side]),
            p95_ms=float(np.quantile(quick[side], 0.95)),
            store_chunks_per_second=load.chunks / stored[owner].seconds,
            again_seconds=again[owner].seconds,
            embeds_again=again[owner].embeds_again,
            client_mb=memory[owner].client_mb,
            backend_mb=memory[owner].backend_mb,
            table_mb=memory[owner].table_mb,
            versions=stored[owner].versions,
        )
    return PeerRun(
        load.name,
        load.documents,
        load.chunks,
        len(load.questions),
        load.embed_seconds,
        load.embed_query_ms,
        started,
        os.cpu_count() or 0,
        figures,
        _ratios(figures, quick),
    )


def _deep(side: Asked, load: PeerLoad, progress: Progress, name: str) -> tuple[list[list[str]], list[float]]:
    """Return each question's documents by their best chunk, and milliseconds."""
    rankings, milliseconds = [], []
    for first in range(0, len(load.asked), 50):
        last = min(first + 50, len(load.asked))
        found = side.ask(first, last, DEEP)
        milliseconds += found.milliseconds
        for question, chunks in zip(load.asked[first:last], found.rankings, strict=True):
            rankings.append(
                without_itself(question, dict.fromkeys(load.document_of[chunk] for chunk in chunks))
            )
        progress(last, len(load.asked), name)
    return rankings, milliseconds


def _in_turns(sides: Mapping[str, Asked], load: PeerLoad, progress: Progress) -> dict[str, list[float]]:
    """Time the same few questions on one side after the other, ABCABC, so that all meet the same machine."""
    times: dict[str, list[float]] = {side: [] for side in sides}
    many = min(len(load.questions), 30)
    for side in sides.values():
        side.ask(0, many, SHALLOW)  # warm
    for turn in range(ROUNDS):
        first = (turn * many) % max(len(load.questions) - many + 1, 1)
        for name, side in sides.items():
            times[name] += side.ask(first, first + many, SHALLOW).milliseconds
        progress(turn + 1, ROUNDS, "in turns")
    return times


def _ndcgs(asked: Sequence[JudgedQuestion], rankings: Sequence[Sequence[str]]) -> list[float]:
    return [metrics.ndcg(ranking, q.relevant, 10) for q, ranking in zip(asked, rankings, strict=True)]


def _ratios(
    figures: Mapping[str, SideFigures], times: Mapping[str, Sequence[float]]
) -> dict[str, dict[str, float]]:
    ours = figures["kiban fused"]

    def of(theirs: SideFigures, side: str) -> Iterator[tuple[str, float]]:
        if ours.quality and theirs.quality and theirs.quality.ndcg_at_10:
            yield "nDCG@10", ours.quality.ndcg_at_10 / theirs.quality.ndcg_at_10
        yield "store chunks/s", ours.store_chunks_per_second / theirs.store_chunks_per_second
        yield "p50, fused", ours.p50_ms / theirs.p50_ms
        yield "p50, dense", figures["kiban dense"].p50_ms / theirs.p50_ms
        yield "p95, fused", ours.p95_ms / theirs.p95_ms
        yield "again", ours.again_seconds / theirs.again_seconds
        yield "client memory", ours.client_mb / theirs.client_mb

    return {side: dict(of(one, side)) for side, one in figures.items() if side not in OURS}
