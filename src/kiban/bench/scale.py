"""How the index carries many chunks: stored, indexed and searched, against pgvector as one would set it up
by default, on the same rows in the same run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.copying import half
from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.schema import migrate
from kiban.backends.postgres.search import PostgresSearch
from kiban.bench import scale_bulk
from kiban.bench.scale_bulk import DOCUMENT
from kiban.bench.scale_material import ZONES, Made, Material, make, owned
from kiban.bench.throwaway import load, memory_mb
from kiban.domain.access import EVERYONE, Audience, Principal
from kiban.domain.document import SECTION_BREAK, Arrival, Chunk, Place, SourceFile
from kiban.domain.text import Span
from kiban.ports import Progress, Vector
from kiban.settings import ROOT

READERS = {"one": "1 %", "ten": "10 %", "half": "50 %", "all": "100 %"}  # of the chunks
BATCH = 64  # documents a transaction
MEASURED = 20_000  # chunks stored as ingestion stores them; the rest only has to be there
MORE = 5_000  # chunks stored once all is there, graphs included
TOP = 10
Way = Callable[[int], list[int]]  # from a question's number to chunk ids

PLAIN = """
select chunk_id from kiban.embedding where generation_id = {generation}
order by vector::halfvec({dimensions}) <=> %(vector)s limit %(limit)s
"""
WITHOUT_SECURITY = """
select chunk_id from kiban.embedding where generation_id = %(generation)s and zone_id = any(%(zones)s)
order by (vector <=> %(vector)s) + 0, chunk_id limit %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Cell:
    """One way of searching, for one reader and kind of question."""

    way: str
    sees: str
    topic: str  # "own": questions about what the reader's zones are about; "foreign"
    p50_ms: float
    p95_ms: float
    recall_at_10: float | None  # against comparing every visible chunk; None for the lexical lane
    rows: float  # mean, of 10
    questions: int


@dataclass(frozen=True, slots=True)
class ScaleFigures:
    """One run."""

    chunks: int
    dimensions: int
    load_at_start: float
    ingest_rows_per_second: (
        float  # chunks with postings and vectors, by the library's own `put`, of the first
    )
    rest_rows_per_second: float  # of the others: without keys, indexes and tallies, which are made at the end
    graphs: int
    graphs_seconds: float
    full_rows_per_second: float  # by `put` again, into keys, tallies and graphs of full size
    wide_graph_seconds: float
    megabytes: dict[str, float]  # tables with their indexes
    postgres_memory_mb: float
    cells: list[Cell]


def measure(
    server: EmbeddedPostgres,
    material: Material,
    chunks: int,
    *,
    graph_zone_chunks: int,
    questions: int = 20,
    against_default: bool = True,
    progress: Progress,
) -> ScaleFigures:
    """Fill the server's library, search it in each way, and return the figures."""
    began_with, dimensions = load(), material.vectors.shape[1]
    migrate(server.dsn("postgres"), server.passwords)
    admin_dsn = server.dsn("postgres")
    postgres = Postgres(server.dsn("kiban_writer"), server.dsn("kiban_reader"), admin_dsn=admin_dsn)
    try:
        library = PostgresLibrary(postgres)
        generation = library.add_generation("bench", "bench", dimensions, "bench", "bench")
        few = min(chunks, MEASURED)
        seconds = _timed(lambda: _fill(library, generation, make(material, few), 0, few, progress))
        rest_seconds = 0.0
        if chunks > few:
            bulk = partial(scale_bulk.fill, admin_dsn, generation, material, chunks - few, progress=progress)
            rest_seconds = _timed(lambda: bulk(stored=few, seed=8))
        progress(0, 1, "graphs")
        began = time.monotonic()
        graphs = library.tend_index(graph_zone_chunks)
        graphs_seconds = time.monotonic() - began
        progress(1, 1, "graphs")
        more = make(material, MORE, seed=9)
        full_seconds = _timed(lambda: _fill(library, generation, more, chunks, chunks + MORE, progress))
        with psycopg.connect(admin_dsn, autocommit=True) as admin:
            admin.execute("vacuum (analyze)")
            asking = _Asking(postgres, material, generation, questions)
            cells = list(asking.ours(progress))
            memory, sizes, wide_seconds = memory_mb(server), _sizes(admin), 0.0
            if against_default:
                wide_seconds = _timed(lambda: _wide_graph(admin, generation, dimensions))
                cells += asking.default(progress)
    finally:
        postgres.close()
    return ScaleFigures(
        chunks,
        dimensions,
        began_with,
        round(few / seconds),
        round((chunks - few) / rest_seconds) if rest_seconds else 0,
        len(graphs),
        round(graphs_seconds, 1),
        round(MORE / full_seconds),
        round(wide_seconds, 1),
        sizes,
        round(memory),
        cells,
    )


class _Asking:
    """Asks the same questions in every way."""

    def __init__(self, postgres: Postgres, material: Material, generation: int, questions: int) -> None:
        self._postgres, self._generation = postgres, generation
        self._search, self._material, self._count = PostgresSearch(postgres), material, questions
        self._truth: dict[tuple[str, int], list[int]] = {}

    def ours(self, progress: Progress) -> Iterator[Cell]:
        for done, (who, topic, asked) in enumerate(self._situations(), start=1):
            for number in asked:
                self._truth[who.subject, number] = self._near(who, True, number)
            ways: dict[str, Way] = {
                "exact": partial(self._near, who, True),
                "graphs": partial(self._near, who, False),
                "exact, no row security": partial(self._without_security, who),
                "lexical": partial(self._lexical, who),
            }
            yield from self._cells(who, topic, asked, ways)
            progress(done, 2 * len(READERS), "ours")

    def default(self, progress: Progress) -> Iterator[Cell]:
        """One graph through all zones, filtered afterwards by row-level security."""
        for done, (who, topic, asked) in enumerate(self._situations(), start=1):
            ways: dict[str, Way] = {
                "default pgvector": partial(self._plain, who, "off"),
                "default pgvector, iterative": partial(self._plain, who, "relaxed_order"),
            }
            yield from self._cells(who, topic, asked, ways)
            progress(done, 2 * len(READERS), "default")

    def _situations(self) -> Iterator[tuple[Principal, str, list[int]]]:
        for group in READERS:
            mine = {topic for zone, (_, who) in enumerate(ZONES) if group in who for topic in owned(zone)}
            for name, wanted in (("own", True), ("foreign", False)):
                asked = [
                    n for n, topic in enumerate(self._material.question_topics) if (topic in mine) is wanted
                ]
                if asked:
                    yield Principal(group, frozenset({group})), name, asked[: self._count]

    def _cells(self, who: Principal, topic: str, asked: list[int], ways: dict[str, Way]) -> Iterator[Cell]:
        """Ask each question in every way before the next, so that all meet the same machine."""
        took: dict[str, list[float]] = {way: [] for way in ways}
        found: dict[str, list[list[int]]] = {way: [] for way in ways}
        for number in asked:
            for way, ask in ways.items():
                began = time.perf_counter()
                found[way].append(ask(number))
                took[way].append((time.perf_counter() - began) * 1000)
        for way in ways:
            truths = [self._truth[who.subject, number] for number in asked]
            kept = [
                len(set(truth).intersection(ids)) / len(truth)
                for truth, ids in zip(truths, found[way], strict=True)
                if truth
            ]
            yield Cell(
                way,
                READERS[who.subject],
                topic,
                round(statistics.median(took[way]), 2),
                round(sorted(took[way])[int(0.95 * (len(asked) - 1))], 2),
                None if way == "lexical" or not kept else round(statistics.fmean(kept), 4),
                round(statistics.fmean(min(len(ids), TOP) for ids in found[way]), 2),
                len(asked),
            )

    def _near(self, who: Principal, exact: bool, number: int) -> list[int]:
        passages = self._search.nearest(who, self._vector(number), self._generation, TOP, exact=exact)
        return [passage.chunk_id for passage in passages]

    def _lexical(self, who: Principal, number: int) -> list[int]:
        passages = self._search.matching(who, self._material.question_terms[number], 100)
        return [passage.chunk_id for passage in passages]

    def _plain(self, who: Principal, iterative: str, number: int) -> list[int]:
        vector = self._vector(number)
        query = PLAIN.format(generation=self._generation, dimensions=len(vector))
        with self._postgres.reading(who.groups | {EVERYONE}) as tx:
            tx.execute(
                "select set_config('hnsw.iterative_scan', %s, true), set_config('enable_sort', 'off', true)",
                [iterative],
            )
            return [id for (id,) in tx.execute(query.encode(), {"vector": half(vector), "limit": TOP})]

    def _without_security(self, who: Principal, number: int) -> list[int]:
        with self._postgres.writing() as tx:
            tx.execute("select set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)")
            zones = tx.execute("select id from kiban.zone where readers && %s", [[*who.groups, EVERYONE]])
            asked = {
                "vector": half(self._vector(number)),
                "generation": self._generation,
                "zones": [id for (id,) in zones],
                "limit": TOP,
            }
            return [id for (id,) in tx.execute(WITHOUT_SECURITY, asked)]

    def _vector(self, number: int) -> Vector:
        vector: Vector = self._material.question_vectors[number].tolist()
        return vector


def _fill(
    library: PostgresLibrary,
    generation: int,
    made_of: Iterator[Made],
    stored: int,
    total: int,
    progress: Progress,
) -> None:
    by_zone: dict[int, list[Made]] = {}
    waiting: list[tuple[Arrival, list[Made]]] = []
    for number, made in enumerate(made_of, start=stored + 1):
        of_zone = by_zone.setdefault(made.zone, [])
        of_zone.append(made)
        if len(of_zone) == DOCUMENT:
            waiting.append((_document(f"{number}.md", made.zone, of_zone), by_zone.pop(made.zone)))
        if len(waiting) == BATCH:
            _put(library, generation, waiting)
            waiting = []
            progress(number, total, "chunks")
    left = [
        (_document(f"{stored} rest {zone}.md", zone, of_zone), of_zone) for zone, of_zone in by_zone.items()
    ]
    _put(library, generation, waiting + left)


def _document(name: str, zone: int, chunks: Sequence[Made]) -> Arrival:
    readers = frozenset(ZONES[zone][1])
    file = SourceFile(name, ROOT, 0, name, Audience(readers))
    cut, start = [], 0
    for ordinal, made in enumerate(chunks):
        text = " ".join(made.terms)
        span = Span(start, start + len(text))
        start = span.end + len(SECTION_BREAK)
        cut.append(Chunk(ordinal, span, Place(), text, text, made.terms))
    return Arrival(file, name, tuple(cut))


def _put(library: PostgresLibrary, generation: int, stored: Sequence[tuple[Arrival, list[Made]]]) -> None:
    vectors: list[Vector] = [made.vector.tolist() for _, chunks in stored for made in chunks]
    library.put("bench", [arrival for arrival, _ in stored], {generation: vectors})


def _wide_graph(admin: psycopg.Connection[Any], generation: int, dimensions: int) -> None:
    admin.execute(
        f"create index wide on kiban.embedding_{generation}"
        f" using hnsw ((vector::halfvec({dimensions})) halfvec_cosine_ops)".encode()
    )


def _sizes(admin: psycopg.Connection[Any]) -> dict[str, float]:
    found = admin.execute(
        "select relname, pg_total_relation_size(oid) / 1048576.0 from pg_class"
        " where relnamespace = 'kiban'::regnamespace and relkind = 'r' order by 2 desc"
    )
    return {name: round(float(size), 2) for name, size in found}


def _timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
