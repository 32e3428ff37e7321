"""Two index generations asked the same questions: how far their answers agree, and which finds more."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kiban.bench import beir, metrics, uncertainty
from kiban.bench.beir import JudgedQuestion
from kiban.errors import SettingsError

DEPTH = 10
PERSISTENCE = 0.9  # of the reader that rank-biased overlap imagines: 86 % of its weight lies in the first ten
Ask = Callable[[str], Sequence[str]]  # a question to the uris of passages, best first


@dataclass(frozen=True, slots=True)
class GenerationComparison:
    """Means over the questions; intervals are 95 %. nDCG is None where nobody has judged."""

    old: int
    new: int
    questions: int
    overlap_at_10: float  # share of the documents among both first tens
    rank_biased_overlap: float
    unchanged: float  # share of the questions with the same documents in the same order
    old_ndcg_at_10: float | None
    new_ndcg_at_10: float | None
    ndcg_difference: tuple[float, float, float] | None  # new less old, with its paired interval
    old_p50_ms: float
    new_p50_ms: float
    old_p95_ms: float
    new_p95_ms: float
    latency_difference_ms: tuple[float, float, float]  # new less old, with its paired interval


def read_questions(path: Path, limit: int | None = None) -> list[JudgedQuestion]:
    """Read a folder in BEIR layout, JSON lines with `text` and perhaps `relevant` (uri: grade), or lines.

    Raises SettingsError.
    """
    if path.is_dir():
        return beir.questions(path, limit)
    if not path.is_file():
        raise SettingsError(f"{path} is neither a folder nor a file.")
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    asked = [_question(path, number, line) for number, line in enumerate(lines, start=1)]
    if not asked:
        raise SettingsError(f"{path} holds no question.")
    return asked[:limit]


def compare(
    old: tuple[int, Ask], new: tuple[int, Ask], asked: Sequence[JudgedQuestion]
) -> GenerationComparison:
    """Ask both, in turns, question by question."""
    (old_id, ask_old), (new_id, ask_new) = old, new
    ask_old(asked[0].text), ask_new(asked[0].text)  # warm
    rows = []
    for number, question in enumerate(asked):
        first, second = (ask_old, ask_new) if number % 2 == 0 else (ask_new, ask_old)
        one, two = _timed(first, question.text), _timed(second, question.text)
        rows.append((one, two) if number % 2 == 0 else (two, one))
    before = [ranking for (ranking, _), _ in rows]
    after = [ranking for _, (ranking, _) in rows]
    old_ms, new_ms = [ms for (_, ms), _ in rows], [ms for _, (_, ms) in rows]
    pairs = list(zip(before, after, strict=True))
    judged = [at for at, question in enumerate(asked) if question.relevant]
    old_ndcg = [metrics.ndcg(before[at], asked[at].relevant, DEPTH) for at in judged]
    new_ndcg = [metrics.ndcg(after[at], asked[at].relevant, DEPTH) for at in judged]
    return GenerationComparison(
        old=old_id,
        new=new_id,
        questions=len(asked),
        overlap_at_10=statistics.fmean(overlap(a, b) for a, b in pairs),
        rank_biased_overlap=statistics.fmean(rank_biased_overlap(a, b) for a, b in pairs),
        unchanged=statistics.fmean(float(a[:DEPTH] == b[:DEPTH]) for a, b in pairs),
        old_ndcg_at_10=statistics.fmean(old_ndcg) if judged else None,
        new_ndcg_at_10=statistics.fmean(new_ndcg) if judged else None,
        ndcg_difference=uncertainty.difference(new_ndcg, old_ndcg) if judged else None,
        old_p50_ms=statistics.median(old_ms),
        new_p50_ms=statistics.median(new_ms),
        old_p95_ms=_high(old_ms),
        new_p95_ms=_high(new_ms),
        latency_difference_ms=uncertainty.difference(new_ms, old_ms),
    )


def overlap(one: Sequence[str], other: Sequence[str], depth: int = DEPTH) -> float:
    """Return the share of what both have among their first `depth`; 1.0 for two empty rankings."""
    first, second = set(one[:depth]), set(other[:depth])
    longest = max(len(first), len(second))
    return len(first & second) / longest if longest else 1.0


def rank_biased_overlap(one: Sequence[str], other: Sequence[str], p: float = PERSISTENCE) -> float:
    """Return the extrapolated rank-biased overlap to the depth of the shorter ranking, 0..1.

    RBO_ext of Webber, Moffat & Zobel, A Similarity Measure for Indefinite Rankings, 2010, equation 30.
    """
    depth = min(len(one), len(other))
    if not depth:
        return float(len(one) == len(other))
    agreement, total = 0.0, 0.0
    for d in range(1, depth + 1):
        agreement = len(set(one[:d]) & set(other[:d])) / d
        total += agreement * p**d
    return agreement * p**depth + (1 - p) / p * total


def _timed(ask: Ask, question: str) -> tuple[list[str], float]:
    began = time.perf_counter()
    found = ask(question)
    milliseconds = (time.perf_counter() - began) * 1000
    return list(dict.fromkeys(found)), milliseconds


def _high(milliseconds: Sequence[float]) -> float:
    return sorted(milliseconds)[math.ceil(0.95 * len(milliseconds)) - 1]


def _question(path: Path, number: int, line: str) -> JudgedQuestion:
    if not line.startswith("{"):
        return JudgedQuestion(str(number), line, {})
    try:
        row = json.loads(line)
        relevant = {str(uri): float(grade) for uri, grade in (row.get("relevant") or {}).items()}
        return JudgedQuestion(str(row.get("_id", number)), str(row["text"]), relevant)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(f"{path}, line {number}: {error}") from error
