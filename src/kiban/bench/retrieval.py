"""How well, and how fast, passages are found: on any folder in BEIR layout, by lane."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.scratch import scratch_database
from kiban.backends.postgres.search import PostgresSearch
from kiban.bench import beir, metrics, uncertainty
from kiban.bench.beir import JudgedQuestion
from kiban.bench.kept import batches, cut
from kiban.domain.access import EVERYONE, Audience, Principal
from kiban.domain.question import Passage
from kiban.errors import SettingsError
from kiban.ingest import chunking
from kiban.ports import Embedder, Progress, Tokenizer
from kiban.retrieve.rerank import Reranking
from kiban.retrieve.search import find

BOTH = ("dense", "lexical")
LANES = {"dense": ("dense",), "lexical": ("lexical",), "fused": BOTH}
RERANKED = "reranked"  # the fused lane, its best read again; there where a reranker is
PASSAGES = 200  # asked for, so that fifty documents are among them
Ask = Callable[[str], list[Passage]]
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
    ndcg_at_10_interval: tuple[float, float]  # 95 %, over questions


@dataclass(frozen=True, slots=True)
class LaneDifference:
    """nDCG@10 of one lane less that of another, question by question, with its paired 95 % interval."""

    lane: str
    other: str
    difference: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RetrievalFigures:
    """One run over one folder."""

    folder: str
    documents: int
    chunks: int
    questions: int
    ingest_seconds: float
    lanes: dict[str, LaneFigures]
    differences: tuple[LaneDifference, ...] = ()


def measure(
    folder: Path,
    *,
    admin_dsn: str,
    passwords: Mapping[str, str],
    tokenizer: Tokenizer,
    embedder: Embedder,
    lanes: Sequence[str] = (),
    reranking: Reranking | None = None,
    limit: int | None = None,
    seed: int = 7,
    exact_limit: int = 20_000,
    graph_zone_chunks: int = 10_000,
    progress: Progress = lambda done, total, what: None,
) -> RetrievalFigures:
    """Ingest the corpus into a database of its own, ask `limit` of its questions, and drop the database.

    Without `lanes` every one is measured; the lane "reranked" needs `reranking`.
    Raises SettingsError when the folder is not in BEIR layout, PartUnavailable when Postgres does not answer.
    """
    there = LANES | ({RERANKED: BOTH} if reranking else {})
    if unknown := set(lanes) - set(there):
        raise SettingsError(f"lanes: {', '.join(sorted(unknown))}; there are {', '.join(there)}.")
    asked = beir.questions(folder, limit, seed)
    with scratch_database(admin_dsn, passwords) as postgres:
        library, index = PostgresLibrary(postgres), PostgresSearch(postgres)
        generation = library.add_generation(
            "bench", "bench", embedder.dimensions, tokenizer.name, chunking.CHUNKING
        )
        began = time.monotonic()
        corpus, done = list(beir.documents(folder, Audience(frozenset({EVERYONE})))), 0
        for batch in batches(corpus):
            arrivals = cut(batch, tokenizer)
            texts = [chunking.embedding_text(one.title, chunk) for one in arrivals for chunk in one.chunks]
            library.put("bench", arrivals, {generation: embedder.passages(texts)})
            done += len(batch)
            progress(done, len(corpus), "documents")
        library.tend_index(graph_zone_chunks)
        seconds = time.monotonic() - began
        ask = partial(
            find,
            who=SOMEONE,
            index=index,
            tokenizer=tokenizer,
            embedder=embedder,
            generation=generation,
            limit=PASSAGES,
            exact_limit=exact_limit,
        )
        found = {}
        for name in lanes or there:
            lane = partial(ask, lanes=there[name], reranking=reranking if name == RERANKED else None)
            found[name] = _ask_all(asked, lane, name, progress)
        counts = library.counts()
    ranked = {name: _ndcgs(asked, rankings) for name, (rankings, _) in found.items()}
    return RetrievalFigures(
        str(folder),
        counts.documents,
        counts.chunks,
        len(asked),
        round(seconds, 1),
        {name: figures(asked, rankings, ms) for name, (rankings, ms) in found.items()},
        tuple(_differences(ranked)),
    )


def figures(
    asked: Sequence[JudgedQuestion], rankings: Sequence[Sequence[str]], milliseconds: Sequence[float]
) -> LaneFigures:
    """Score rankings of document ids, one a question, best first."""

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
        p95_ms=sorted(milliseconds)[math.ceil(0.95 * len(milliseconds)) - 1],
        ndcg_at_10_interval=uncertainty.interval(_ndcgs(asked, rankings)),
    )


def table(measured: RetrievalFigures) -> str:
    """Return the figures as aligned text."""
    of = f"{measured.questions} questions, {measured.documents} documents, {measured.chunks} chunks"
    lines = [
        f"{measured.folder}: {of}, ingested in {measured.ingest_seconds} s",
        "lane      nDCG@10  [95 %]         recall@10  recall@50  MRR@10  p50 ms  p95 ms",
    ]
    for name, lane in measured.lanes.items():
        low, high = lane.ndcg_at_10_interval
        lines.append(
            f"{name:<9} {lane.ndcg_at_10:7.3f}  [{low:.3f}, {high:.3f}] {lane.recall_at_10:10.3f}"
            f" {lane.recall_at_50:10.3f} {lane.mrr_at_10:7.3f} {lane.p50_ms:7.1f} {lane.p95_ms:7.1f}"
        )
    for one in measured.differences:
        between = f"[{one.low:+.3f}, {one.high:+.3f}]"
        lines.append(f"{one.lane} - {one.other}: nDCG@10 {one.difference:+.3f} {between}")
    return "\n".join(lines)


def _ask_all(
    asked: Sequence[JudgedQuestion], ask: Ask, name: str, progress: Progress
) -> tuple[list[list[str]], list[float]]:
    """Return for each question the documents by their best chunk, and the milliseconds it took."""
    rankings, milliseconds = [], []
    ask(asked[0].text)  # warm
    for number, question in enumerate(asked, start=1):
        began = time.perf_counter()
        passages = ask(question.text)
        milliseconds.append((time.perf_counter() - began) * 1000)
        rankings.append(without_itself(question, dict.fromkeys(passage.uri for passage in passages)))
        progress(number, len(asked), name)
    return rankings, milliseconds


def without_itself(question: JudgedQuestion, ranking: Mapping[str, None]) -> list[str]:
    """Drop a document that *is* the question, as BEIR does for sets such as ArguAna."""
    return [uri for uri in ranking if uri != question.id or uri in question.relevant]


def _ndcgs(asked: Sequence[JudgedQuestion], rankings: Sequence[Sequence[str]]) -> list[float]:
    return [
        metrics.ndcg(ranking, question.relevant, 10)
        for ranking, question in zip(rankings, asked, strict=True)
    ]


def _differences(ranked: Mapping[str, Sequence[float]]) -> Iterator[LaneDifference]:
    """Compare every later lane with every earlier one."""
    names = list(ranked)
    for at, name in enumerate(names):
        for other in names[:at]:
            yield LaneDifference(name, other, *uncertainty.difference(ranked[name], ranked[other]))
