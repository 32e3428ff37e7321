"""How well, and how fast, passages are found: on any folder in BEIR layout, in each lane and both fused."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.scratch import scratch_database
from kiban.backends.postgres.search import PostgresSearch
from kiban.bench import beir, metrics
from kiban.bench.beir import JudgedQuestion
from kiban.domain.access import EVERYONE, Audience, Principal
from kiban.domain.document import Arrival, ParsedDocument, SourceFile
from kiban.domain.question import Passage
from kiban.ingest import chunking
from kiban.ports import Embedder, Progress, Tokenizer
from kiban.retrieve.search import find

LANES = {"dense": ("dense",), "lexical": ("lexical",), "fused": ("dense", "lexical")}
PASSAGES = 200  # asked for, so that fifty documents are among them
BATCH = 64  # documents
Parsed = tuple[SourceFile, ParsedDocument]
SOMEONE = Principal("bench", frozenset())


@dataclass(frozen=True, slots=True)
class LaneFigures:
    """Means over the questions, 0..1, and the time from a question to its passages."""

    ndcg_at_10: float
    recall_at_10: float
    recall_at_50: float
    mrr_at_10: float
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class RetrievalFigures:
    """One run over one folder."""

    folder: str
    documents: int
    chunks: int
    questions: int
    ingest_seconds: float
    lanes: dict[str, LaneFigures]


def measure(
    folder: Path,
    *,
    admin_dsn: str,
    passwords: Mapping[str, str],
    tokenizer: Tokenizer,
    embedder: Embedder,
    limit: int | None = None,
    seed: int = 7,
    exact_limit: int = 20_000,
    graph_zone_chunks: int = 10_000,
    progress: Progress = lambda done, total, what: None,
) -> RetrievalFigures:
    """Ingest the corpus into a database of its own, ask `limit` of its questions, and drop the database.

    Raises SettingsError when the folder is not in BEIR layout, PartUnavailable when Postgres does not answer.
    """
    asked = beir.questions(folder, limit, seed)
    with scratch_database(admin_dsn, passwords) as postgres:
        library, index = PostgresLibrary(postgres), PostgresSearch(postgres)
        generation = library.add_generation(
            "bench", "bench", embedder.dimensions, tokenizer.name, chunking.CHUNKING
        )
        began = time.monotonic()
        corpus, done = list(beir.documents(folder, Audience(frozenset({EVERYONE})))), 0
        for batch in _batches(corpus):
            arrivals = _cut(batch, tokenizer)
            texts = [chunking.embedding_text(one.title, chunk) for one in arrivals for chunk in one.chunks]
            library.put("bench", arrivals, {generation: embedder.passages(texts)})
            done += len(batch)
            progress(done, len(corpus), "documents")
        library.tend_index(graph_zone_chunks)
        seconds = time.monotonic() - began

        figures = {}
        for asked_in, (name, lanes) in enumerate(LANES.items(), start=1):
            ask = partial(
                find,
                who=SOMEONE,
                index=index,
                tokenizer=tokenizer,
                embedder=embedder,
                generation=generation,
                limit=PASSAGES,
                exact_limit=exact_limit,
                lanes=lanes,
            )
            figures[name] = _score(asked, ask)
            progress(asked_in, len(LANES), "lanes")
        counts = library.counts()
    return RetrievalFigures(
        str(folder), counts.documents, counts.chunks, len(asked), round(seconds, 1), figures
    )


def table(figures: RetrievalFigures) -> str:
    """Return the figures as aligned text."""
    of = f"{figures.questions} questions, {figures.documents} documents, {figures.chunks} chunks"
    lines = [
        f"{figures.folder}: {of}, ingested in {figures.ingest_seconds} s",
        "lane     nDCG@10  recall@10  recall@50  MRR@10  p50 ms  p95 ms",
    ]
    lines += [
        f"{name:<8} {lane.ndcg_at_10:7.3f} {lane.recall_at_10:10.3f} {lane.recall_at_50:10.3f}"
        f" {lane.mrr_at_10:7.3f} {lane.p50_ms:7.1f} {lane.p95_ms:7.1f}"
        for name, lane in figures.lanes.items()
    ]
    return "\n".join(lines)


def _batches(corpus: Sequence[Parsed]) -> Iterator[Sequence[Parsed]]:
    for start in range(0, len(corpus), BATCH):
        yield corpus[start : start + BATCH]


def _cut(batch: Sequence[Parsed], tokenizer: Tokenizer) -> list[Arrival]:
    """Cut each document that holds any text."""
    cut = [(file, parsed.title, chunking.cut(parsed, tokenizer)) for file, parsed in batch]
    return [Arrival(file, title, chunks) for file, title, chunks in cut if chunks]


def _score(asked: Sequence[JudgedQuestion], ask: Callable[[str], list[Passage]]) -> LaneFigures:
    rankings, milliseconds = [], []
    for question in asked:
        began = time.perf_counter()
        passages = ask(question.text)
        milliseconds.append((time.perf_counter() - began) * 1000)
        rankings.append(list(dict.fromkeys(passage.uri for passage in passages)))  # a document's best chunk

    def mean(metric: Callable[[Sequence[str], Mapping[str, float], int], float], depth: int) -> float:
        return statistics.fmean(
            metric(ranking, question.relevant, depth)
            for ranking, question in zip(rankings, asked, strict=True)
        )

    return LaneFigures(
        ndcg_at_10=mean(metrics.ndcg, 10),
        recall_at_10=mean(metrics.recall, 10),
        recall_at_50=mean(metrics.recall, 50),
        mrr_at_10=mean(metrics.reciprocal_rank, 10),
        p50_ms=statistics.median(milliseconds),
        p95_ms=sorted(milliseconds)[int(0.95 * (len(milliseconds) - 1))],
    )
