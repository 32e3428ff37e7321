"""What it gains and costs to understand the dates in questions, in each way of using them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import fmean

from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.scratch import scratch_database
from kiban.backends.postgres.search import PostgresSearch
from kiban.bench import beir, dating_material, metrics, uncertainty
from kiban.bench.beir import JudgedQuestion
from kiban.bench.dating_material import ALL_READ, TODAY, TOLD
from kiban.bench.kept import Parsed, batches, cut
from kiban.bench.server import Server
from kiban.domain.access import Principal
from kiban.domain.question import Passage
from kiban.ingest import chunking
from kiban.ports import Embedder, Progress, Tokenizer
from kiban.retrieve import dated
from kiban.retrieve.periods import Period, absolute, plain
from kiban.retrieve.search import DEPTH, find

HANDBOOKS = {"デンキヤギ": "handbook_ja_denkiyagi", "ツクロア": "handbook_ja_tuqulore"}
CONTENT = "jsquad_valid"  # whose dates are what is asked, not which documents
WEIGHTS = (0.1, 0.2, 0.3, 0.5)
SOME = 1_500  # questions of CONTENT in which dates are read wherever they stand
SOMEONE = Principal("bench", frozenset())

Read = Callable[[str], Period | None]
Use = Callable[[list[Passage], Period], list[Passage]]


@dataclass(frozen=True, slots=True)
class DatingFigures:
    """One way of using dates on one set. nDCG@10 by document; the difference is to not reading dates."""

    set: str
    way: str
    questions: int
    touched: int  # in which a date was read
    ndcg_at_10: float  # of those touched
    difference: float
    low: float  # of the paired 95 % interval of the difference
    high: float
    lost: int  # touched questions whose ten held a right document before, and hold none now


def measure(
    data: Path, on: Server, tokenizer: Tokenizer, embedder: Embedder, progress: Progress
) -> Iterator[DatingFigures]:
    """Yield figures of each set and way. `data` holds HANDBOOKS and CONTENT. Raises SettingsError."""
    some = dating_material.regulations({company: data / name for company, name in HANDBOOKS.items()})
    plainly = partial(dated.asked, today=TODAY)
    for told in TOLD:
        asked = list(dating_material.questions(some, told))
        stored = list(dating_material.versions(some, told))
        named = f"regulations, date in: {told}"
        yield from _set(named, stored, asked, plainly, on, tokenizer, embedder, progress)
    content, everything = beir.questions(data / CONTENT), list(_scattered(data / CONTENT))
    yield from _set("JSQuAD", everything, content, plainly, on, tokenizer, embedder, progress)
    some_content = beir.questions(data / CONTENT, SOME)
    yield from _set("JSQuAD, any date", everything, some_content, _any, on, tokenizer, embedder, progress)


def _set(
    name: str,
    stored: Sequence[Parsed],
    asked: Sequence[JudgedQuestion],
    read: Read,
    on: Server,
    tokenizer: Tokenizer,
    embedder: Embedder,
    progress: Progress,
) -> Iterator[DatingFigures]:
    """Search each question with a date once, without using it, and use it on what was found in every way."""
    with scratch_database(on.admin, on.passwords) as postgres:
        library, index = PostgresLibrary(postgres), PostgresSearch(postgres)
        cuts = (tokenizer.name, chunking.CHUNKING)
        generation = library.add_generation("bench", "bench", embedder.dimensions, *cuts)
        for done, batch in enumerate(batches(stored), start=1):
            arrivals = cut(batch, tokenizer)
            texts = [chunking.embedding_text(one.title, chunk) for one in arrivals for chunk in one.chunks]
            different = list(dict.fromkeys(texts))  # versions say the same
            vectors = dict(zip(different, embedder.passages(different), strict=True))
            library.put("bench", arrivals, {generation: [vectors[text] for text in texts]})
            progress(done, -(-len(stored) // 64), f"{name}: documents")
        touched = [(one, days) for one in asked if (days := read(one.text))]
        found = []
        for done, (one, _) in enumerate(touched, start=1):
            found.append(
                find(
                    one.text,
                    SOMEONE,
                    index=index,
                    tokenizer=tokenizer,
                    embedder=embedder,
                    generation=generation,
                    limit=2 * DEPTH,
                )
            )
            progress(done, len(touched), f"{name}: questions")
    before = [_ndcg(one, passages) for (one, _), passages in zip(touched, found, strict=True)]
    for way, use in _ways().items():
        after = [
            _ndcg(one, use(passages, days)) for (one, days), passages in zip(touched, found, strict=True)
        ]
        difference, low, high = uncertainty.difference(after, before)
        lost = sum(old > 0 and not new for new, old in zip(after, before, strict=True))
        mean = fmean(after) if after else 0.0
        yield DatingFigures(name, way, len(asked), len(touched), mean, difference, low, high, lost)


def _ways() -> dict[str, Use]:
    return {
        "not read": lambda found, days: found,
        "filter": _only,
        "filter, else all": lambda found, days: _only(found, days) or found,
        **{f"preferred, {weight}": partial(dated.prefer, weight=weight) for weight in WEIGHTS},
    }


def _only(found: Sequence[Passage], days: Period) -> list[Passage]:
    return [one for one in found if dated.fit(one, days)]


def _ndcg(question: JudgedQuestion, passages: Sequence[Passage]) -> float:
    ranking = list(dict.fromkeys(one.uri for one in passages))
    return metrics.ndcg(ranking, question.relevant, 10)


def _any(question: str) -> Period | None:
    """Read a date wherever there is one."""
    return next((one.period for one in absolute(plain(question))), None)


def _scattered(folder: Path) -> Iterator[Parsed]:
    """Yield a corpus as if its documents had been modified on any day of twelve years: the worst case."""
    chance, first = random.Random(7), datetime(2015, 1, 1, tzinfo=UTC)
    for file, parsed in beir.documents(folder, ALL_READ):
        yield replace(file, modified=first + timedelta(days=chance.randrange(12 * 365))), parsed
