"""How much of a graph a walk must keep in view: recall and time by the graph's size and the walk's width.

One HNSW graph after another over the scale bench's vectors (real passages plus noise), each larger than the
one before, built as the library builds them and without anything else in the way.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray
from pgvector.psycopg import register_vector

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.backends.postgres.copying import half
from kiban.bench.scale_material import Material, Matrix, draw
from kiban.bench.throwaway import load
from kiban.ports import Progress

WIDTHS = (100, 200, 400, 700, 1000)
FARTHER = (2000, 4000)  # rows met, beyond the 1,000 that pgvector keeps in view: the walk is taken up again
SHOWN, DEPTH = 10, 100  # passages of an answer's search, and of what fusion is given
BLOCK = 10_000  # rows copied or compared at once

BUILD = "create index graph on graphs using hnsw (vector halfvec_cosine_ops)"
STRICT = "select id from graphs order by vector <=> %(vector)s limit %(limit)s"
RELAXED = """
select id from (select id, vector from graphs order by vector <=> %(vector)s limit %(met)s) as met
order by (vector <=> %(vector)s) + 0, id limit %(limit)s
"""
COMPARED = "select id from graphs order by (vector <=> %(vector)s) + 0, id limit %(limit)s"
Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WidthFigures:
    """One width in one graph. Recall is against comparing every vector."""

    chunks: int
    width: int  # rows kept in view, or met where that is more than 1,000; 0: every vector was compared
    recall_at_10: float
    recall_at_100: float
    worst_at_10: float  # the question that lost most
    p50_ms: float
    p95_ms: float
    questions: int
    build_seconds: float
    load: float


def measure(
    server: EmbeddedPostgres, material: Material, sizes: Sequence[int], questions: int, progress: Progress
) -> Iterator[WidthFigures]:
    """Yield figures for each size, in rising order, and each width, on a server of one's own."""
    vectors = draw(material, max(sizes), np.random.default_rng(7)).vectors
    asked = material.question_vectors[
        np.random.default_rng(7).permutation(len(material.question_vectors))[:questions]
    ]
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute("create extension if not exists vector")
        register_vector(admin)
        admin.execute(f"create table graphs (id bigint, vector halfvec({vectors.shape[1]}))".encode())
        admin.execute("set jit = off")
        there = 0
        for size in sorted(sizes):
            progress(there, max(sizes), "stored")
            admin.execute("drop index if exists graph")
            _store(admin, vectors[there:size], there)
            there = size
            began = time.monotonic()
            admin.execute(BUILD)
            took = time.monotonic() - began
            admin.execute("vacuum (analyze) graphs")
            truth = _nearest(vectors[:size], asked)
            for width in (0, *WIDTHS, *FARTHER):
                yield _figures(admin, asked, truth, size, width, took)
                progress(size, max(sizes), f"width {width}")


def _store(admin: psycopg.Connection, vectors: Matrix, first: int) -> None:
    with admin.cursor() as cursor, cursor.copy("copy graphs from stdin (format binary)") as copied:
        copied.set_types(["int8", "halfvec"])
        for number, vector in enumerate(vectors.tolist(), start=first):
            copied.write_row((number, half(vector)))


def _figures(
    admin: psycopg.Connection, asked: Matrix, truth: Ids, size: int, width: int, build_seconds: float
) -> WidthFigures:
    query = COMPARED if not width else STRICT if width in WIDTHS else RELAXED
    admin.execute(
        "select set_config('hnsw.iterative_scan', %s, false), set_config('hnsw.ef_search', %s, false),"
        " set_config('enable_sort', %s, false), set_config('enable_seqscan', %s, false)",
        [
            "relaxed_order" if query == RELAXED else "strict_order",
            str(min(width or 1000, 1000)),
            "off" if query == STRICT else "on",
            "on" if query == COMPARED else "off",
        ],
    )
    took, at_10, at_100, began_with = [], [], [], load()
    for vector, right in zip(asked.tolist(), truth.tolist(), strict=True):
        began = time.perf_counter()
        rows = admin.execute(query, {"vector": half(vector), "limit": DEPTH, "met": width}).fetchall()
        took.append((time.perf_counter() - began) * 1000)
        found = [id for (id,) in rows]
        at_10.append(len({*found[:SHOWN]}.intersection(right[:SHOWN])) / SHOWN)
        at_100.append(len({*found}.intersection(right)) / DEPTH)
    return WidthFigures(
        size,
        width,
        round(statistics.fmean(at_10), 4),
        round(statistics.fmean(at_100), 4),
        min(at_10),
        round(statistics.median(took), 2),
        round(sorted(took)[int(0.95 * (len(took) - 1))], 2),
        len(asked),
        round(build_seconds, 1),
        round(began_with, 1),
    )


def _nearest(vectors: Matrix, asked: Matrix) -> Ids:
    """Return the DEPTH nearest rows of each question, the nearest first, as halves compare."""
    near = np.concatenate(
        [
            asked @ vectors[start : start + BLOCK].astype(np.float16).astype(np.float32).T
            for start in range(0, len(vectors), BLOCK)
        ],
        axis=1,
    )
    return np.argsort(-near, axis=1, kind="stable")[:, :DEPTH]
