"""A1 to A3: what somebody gets, or can guess, of what they may not read."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence

import numpy as np
import psycopg

from kiban.backends.postgres.copying import half
from kiban.bench.attacks import Figure
from kiban.bench.attacks.company import LANES, Company, company, sentence
from kiban.bench.attacks.stage import Stage
from kiban.domain.access import EVERYONE, NOBODY, Principal
from kiban.ports import Vector

QUERIES, AROUND = 1000, 100_000  # at full size
PLAIN = """
select chunk_id from kiban.embedding where generation_id = {generation}
order by vector::halfvec({dimensions}) <=> %s limit 10
"""


def cross_group(stage: Stage) -> Figure:
    """A1: every person asks for every planted fact, in every lane."""
    staged = company(stage)
    leaks = trials = own = found = 0
    facts = staged.facts[:: max(1, len(staged.facts) // stage.size(len(staged.facts), 24))]
    for who in staged.people:
        for fact in facts:
            for lane in LANES:
                passages = staged.ask(lane, who, fact.question)
                leaks += staged.forbidden(who, passages)
                trials += 1
                if who.may_read(fact.audience):
                    own += 1
                    found += any(fact.code in passage.original for passage in passages)
    return Figure(
        "A1",
        "cross-group retrieval",
        f"{leaks} forbidden passages",
        "0",
        leaks == 0 and found > 0,
        trials,
        f"own facts found in {found} of {own}",
    )


def interference(stage: Stage) -> Figure:
    """A2: the same questions before and after forbidden chunks were put around each of them."""
    staged, chance = company(stage), random.Random(11)
    questions = [sentence(chance) for _ in range(stage.size(QUERIES, 40))]
    each = max(1, stage.size(AROUND, 1000) // len(questions))
    asking = [chance.choice(staged.people) for _ in questions]
    with _one_graph_for_all(stage, staged):
        before, wide_before = _answers(staged, asking, questions), _plain(staged, asking, questions)
        for number, question in enumerate(questions):
            _surround(staged, f"around {number}", question, each)
        after, wide_after = _answers(staged, asking, questions), _plain(staged, asking, questions)
    _remove(staged, [f"around {number}" for number in range(len(questions))])
    changed = sum(a != b for a, b in zip(before, after, strict=True))
    wide = sum(a != b for a, b in zip(wide_before, wide_after, strict=True))
    return Figure(
        "A2",
        "interference",
        f"{changed / len(before):.1%} of answers changed",
        "0 %",
        changed == 0,
        len(before),
        f"{each * len(questions):,} forbidden chunks; one graph for all, as pgvector is by default:"
        f" {wide / len(questions):.1%} changed",
    )


def probing(stage: Stage) -> Figure:
    """A3: tell from rows and time whether forbidden chunks lie around a point. Which points they lie around
    is drawn by lot, so that nothing else tells them apart."""
    staged, chance = company(stage), random.Random(13)
    points = [sentence(chance) for _ in range(2 * stage.size(500, 300))]
    crowded = set(chance.sample(range(len(points)), len(points) // 2))
    for number in crowded:
        _surround(staged, f"cluster {number}", points[number], 20)
    who = Principal("adversary", frozenset({"group00"}))
    worst, told = 0.5, []
    for lane in LANES[:3]:
        took: list[list[float]] = [[] for _ in points]
        rows = [0.0] * len(points)
        for _ in range(5):
            for number in chance.sample(range(len(points)), len(points)):
                began = time.perf_counter()
                rows[number] = len(staged.ask(lane, who, points[number]))
                took[number].append(time.perf_counter() - began)
        for name, signal in (("time", [statistics.median(times) for times in took]), ("rows", rows)):
            area = auc(signal, crowded)
            told.append(f"{lane} {name} {area:.3f}")
            worst = max(worst, area, 1 - area)
    _remove(staged, [f"cluster {number}" for number in crowded])
    return Figure(
        "A3",
        "density probe",
        f"AUC {worst:.3f}, the worst of {len(told)}",
        "≤ 0.55",
        worst <= 0.55,
        len(points),
        "; ".join(told),
    )


def _surround(staged: Company, name: str, question: str, chunks: int) -> None:
    """Store so many chunks that nobody may read: the question's words, at points close to its own."""
    at = np.asarray(staged.embedder.query(question), dtype=np.float32)
    noise = np.random.default_rng(len(question)).normal(scale=0.02, size=(chunks, len(at)))
    near = at + noise
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    vectors: list[Vector] = near.tolist()
    staged.put(name, [question] * chunks, NOBODY, vectors)


def _remove(staged: Company, names: Sequence[str]) -> None:
    staged.library.delete("attacks", names)


def _answers(staged: Company, asking: Sequence[Principal], questions: Sequence[str]) -> list[object]:
    return [
        staged.ask(lane, who, question)
        for who, question in zip(asking, questions, strict=True)
        for lane in LANES
    ]


class _one_graph_for_all:
    """An index such as pgvector's documentation begins with, beside ours, for comparison."""

    def __init__(self, stage: Stage, staged: Company) -> None:
        self._dsn = stage.postgres.dsn("postgres")
        self._made_on = (staged.generation, staged.embedder.dimensions)

    def __enter__(self) -> None:
        generation, dimensions = self._made_on
        self._execute(
            f"create index wide on kiban.embedding_{generation}"
            f" using hnsw ((vector::halfvec({dimensions})) halfvec_cosine_ops)"
        )

    def __exit__(self, *error: object) -> None:
        self._execute("drop index kiban.wide")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._dsn, autocommit=True) as admin:
            admin.execute(statement.encode())


def _plain(staged: Company, asking: Sequence[Principal], questions: Sequence[str]) -> list[list[int]]:
    query = PLAIN.format(generation=staged.generation, dimensions=staged.embedder.dimensions).encode()
    found = []
    for who, question in zip(asking, questions, strict=True):
        with staged.postgres.reading(who.groups | {EVERYONE}) as tx:
            tx.execute("select set_config('enable_sort', 'off', true)")
            asked = tx.execute(query, [half(staged.embedder.query(question))])
            found.append([id for (id,) in asked])
    return found


def auc(signal: Sequence[float], positive: set[int]) -> float:
    """Return how often a positive has the larger signal (Mann & Whitney 1947), ties counting half."""
    ours = np.array([signal[number] for number in sorted(positive)])
    others = np.array([value for number, value in enumerate(signal) if number not in positive])
    wins = (ours[:, None] > others).mean() + 0.5 * (ours[:, None] == others).mean()
    return float(wins)
