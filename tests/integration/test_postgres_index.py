"""Tallies are what one would count, skipping common terms changes nothing, and each graph is of one zone."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.backends.postgres import bm25, posture
from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.graphs import Graph
from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.schema import migrate
from kiban.backends.postgres.search import PostgresSearch
from kiban.domain.access import EVERYONE, Audience, Principal
from kiban.domain.document import Arrival
from kiban.domain.question import Passage
from kiban.errors import UnsafeRole
from kiban.testing import HashEmbedder, MemoryLibrary, MemorySearch, arrival

Admin = psycopg.Connection[tuple[Any, ...]]
EMBEDDER = HashEmbedder()
LAB = Principal("ken", frozenset({"lab"}))
WORDS = ["pump", "valve", "motor", "oil", "the", "the", "the", "the", "有給", "休暇", "出張", "旅費", "blue"]
AUDIENCES = [{EVERYONE}, {"lab"}, {"hr"}, {"hr", "lab"}, set[str]()]

COUNTED = {
    "select zone_id, sum(chunks), sum(length) from kiban.zone_tally group by 1 having sum(chunks) <> 0":
    "select zone_id, count(*), sum(length) from kiban.chunk group by 1",
    "select term, zone_id, sum(chunks) from kiban.term_tally group by 1, 2 having sum(chunks) <> 0":
    "select term, zone_id, count(*) from kiban.posting group by 1, 2",
}  # fmt: skip
ASTRAY = """
select count(*) from kiban.posting left join kiban.chunk on (id, chunk.zone_id) = (chunk_id, posting.zone_id)
where id is null
"""


def sentence(chance: random.Random) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randint(1, 9)))


def document(chance: random.Random, number: int) -> Arrival:
    texts = [sentence(chance) for _ in range(chance.randint(1, 5))]
    return arrival(f"{number}.md", *texts, readers=chance.choice(AUDIENCES))


def live(
    library: PostgresLibrary | MemoryLibrary, chance: random.Random, generation: int, steps: int
) -> None:
    """Store, replace, move, fail and delete documents as they come."""
    for _ in range(steps):
        number = chance.randrange(12)
        arrived = document(chance, number)
        texts = [chunk.normalised for chunk in arrived.chunks]
        there = any(known.uri == arrived.file.uri for known in library.documents("files"))
        match chance.randrange(5):
            case 0 if there:
                library.move_audience("files", arrived.file)
            case 1 if there:
                library.delete("files", [arrived.file.uri])
            case 2:
                library.fail("files", arrived.file, "broken")
            case _:
                library.put("files", [arrived], {generation: EMBEDDER.passages(texts)})


@pytest.fixture
def library(postgres: Postgres) -> PostgresLibrary:
    return PostgresLibrary(postgres)


def begin(library: PostgresLibrary) -> int:
    return library.add_generation("hash", "0", EMBEDDER.dimensions, "words-1", "whole")


@pytest.mark.parametrize("seed", range(3))
def test_tallies_are_what_one_would_count(library: PostgresLibrary, admin: Admin, seed: int) -> None:
    chance, generation = random.Random(seed), begin(library)
    for _ in range(3):
        live(library, chance, generation, 12)
        for tallied, counted in COUNTED.items():
            assert set(admin.execute(tallied.encode())) == set(admin.execute(counted.encode())) != set()
        assert admin.execute(ASTRAY).fetchone() == (0,)
        if chance.random() < 0.5:
            library.tend_index(1_000_000)


def test_those_who_store_and_settle_at_once_lose_no_count(library: PostgresLibrary, admin: Admin) -> None:
    def store(number: int) -> None:
        library.put(f"source {number % 4}", [arrival(f"{number}.md", "the pump", "the valve oil")], {})
        if number % 5 == 0:
            library.tend_index(1_000_000)

    with ThreadPoolExecutor(4) as workers:
        list(workers.map(store, range(24)))
    for tallied, counted in COUNTED.items():
        assert set(admin.execute(tallied.encode())) == set(admin.execute(counted.encode())) != set()


@pytest.mark.parametrize("place", ["-1, zone_id", "chunk_id, zone_id + 1"])
def test_a_posting_of_no_chunk_or_of_another_zone_is_refused(
    library: PostgresLibrary, admin: Admin, place: str
) -> None:
    library.put("files", [arrival("a.md", "the pump"), arrival("b.md", "the valve", readers={"hr"})], {})
    wrong = f"select 'oil', {place}, 1, 1 from kiban.posting where term = 'pump'"
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="of no chunk, or of another zone"):
        admin.execute(
            f"insert into kiban.posting (term, chunk_id, zone_id, frequency, length) {wrong}".encode()
        )


def test_a_library_whose_postings_had_a_foreign_key_loses_it_and_nothing_else(
    library: PostgresLibrary, admin: Admin, postgres_server: EmbeddedPostgres
) -> None:
    library.put("files", [arrival("a.md", "the pump", "the valve")], {})
    admin.execute(
        "alter table kiban.posting add constraint posting_chunk_id_zone_id_fkey"
        " foreign key (chunk_id, zone_id) references kiban.chunk (id, zone_id)"
        " on update cascade on delete cascade"
    )
    migrate(postgres_server.dsn("postgres"), postgres_server.passwords)
    assert admin.execute("select from pg_constraint where conname ~ '^posting.*fkey'").fetchall() == []
    library.move_audience("files", arrival("a.md", "", readers={"lab"}).file)
    assert admin.execute(ASTRAY).fetchone() == (0,)


def test_a_library_from_before_tallies_is_counted_once(
    library: PostgresLibrary, admin: Admin, postgres_server: EmbeddedPostgres
) -> None:
    library.put("files", [arrival("a.md", "the pump", "the valve")], {})
    for table in ("chunk", "posting"):
        counting = {"chunk": "tally_chunks", "posting": "tally_terms"}[table]
        for when in ("arrived", "moved", "gone"):
            admin.execute(f"drop trigger {counting}_{when} on kiban.{table}".encode())
    admin.execute("truncate kiban.zone_tally, kiban.term_tally")
    admin.execute("alter table kiban.posting drop constraint posting_key, add primary key (term, chunk_id)")
    for _ in range(2):
        migrate(postgres_server.dsn("postgres"), postgres_server.passwords)
    for tallied, counted in COUNTED.items():
        assert set(admin.execute(tallied.encode())) == set(admin.execute(counted.encode())) != set()


@pytest.mark.parametrize("worth", [0, 1_000_000])
def test_scores_are_those_counted_in_memory_whether_terms_are_skipped_or_not(
    library: PostgresLibrary, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, worth: int
) -> None:
    monkeypatch.setattr(bm25, "WORTH_SKIPPING", worth)
    memory, generation = MemoryLibrary(), begin(library)
    live(library, random.Random(5), generation, 40)
    live(memory, random.Random(5), generation, 40)
    ours, theirs, chance = PostgresSearch(postgres), MemorySearch(memory), random.Random(6)

    def scores(passages: list[Passage]) -> list[float]:
        return [passage.score for passage in passages]

    def by_text(passages: list[Passage]) -> list[Passage]:
        return sorted(passages, key=lambda passage: (passage.original, passage.score))

    for _ in range(25):
        asked = sentence(chance).split()
        for limit in (1, 3, 100):
            found, expected = ours.matching(LAB, asked, limit), theirs.matching(LAB, asked, limit)
            assert scores(found) == pytest.approx(scores(expected), abs=1e-6)
            if limit == 100:
                found, expected = by_text(found), by_text(expected)
                assert [p.original for p in found] == [p.original for p in expected]
                assert scores(found) == pytest.approx(scores(expected), abs=1e-6)


def test_common_terms_are_skipped_only_while_the_rest_decide() -> None:
    rare, middling, common = (
        bm25.Weighed(*one) for one in (("a", 9.0, 9.0), ("b", 5e4, 2.0), ("c", 9e5, 0.1))
    )
    everything = [rare, middling, common]
    assert bm25.split(everything, 9.0, limit=5) == ([rare], [middling, common])
    assert bm25.split(everything, 4.5, limit=5) == ([rare, middling], [common])
    assert bm25.split(everything, 0.1, limit=5) == (everything, [])
    assert bm25.split(everything, 9.0, limit=100) == (everything, [])  # too few hold "a"
    assert bm25.split([middling, common], 2.0, limit=5) == ([middling], [common])


def test_each_large_zone_gets_a_graph_and_a_shrunken_one_loses_it(
    library: PostgresLibrary, admin: Admin
) -> None:
    generation = begin(library)

    def put(uri: str, chunks: int, readers: list[str]) -> None:
        texts = [f"{uri} {number}" for number in range(chunks)]
        library.put("files", [arrival(uri, *texts, readers=readers)], {generation: EMBEDDER.passages(texts)})

    put("a.md", 10, [EVERYONE])
    put("b.md", 5, ["lab"])
    assert [graph.chunks for graph in library.tend_index(10)] == [10]
    assert library.tend_index(10) == []
    put("c.md", 5, ["lab"])
    assert [graph.chunks for graph in library.tend_index(10)] == [10]
    library.delete("files", ["b.md", "c.md"])
    assert library.tend_index(10) == []
    graphs = admin.execute(
        "select indexname from pg_indexes where schemaname = 'kiban' and indexdef like '%hnsw%'"
    ).fetchall()
    assert len(graphs) == admin.execute("select from kiban.graph").rowcount == 1


def test_what_a_killed_build_left_is_built_anew(library: PostgresLibrary, admin: Admin) -> None:
    generation = begin(library)
    library.put("files", [arrival("a.md", "pump")], {generation: EMBEDDER.passages(["pump"])})
    (built,) = library.tend_index(1)
    name = f"kiban.embedding_{generation}_zone_{built.zone}_graph"
    admin.execute(f"update pg_index set indisvalid = false where indexrelid = '{name}'::regclass".encode())
    assert library.tend_index(1) == [Graph(generation, built.zone, 1)]
    assert admin.execute("select from pg_index where not indisvalid").rowcount == 0


Lane = Callable[[str], list[Passage]]


def test_forbidden_chunks_around_the_questions_change_no_byte_of_either_lane(
    library: PostgresLibrary, postgres: Postgres
) -> None:
    chance, generation, search = random.Random(11), begin(library), PostgresSearch(postgres)

    def put(uri: str, texts: list[str], readers: list[str]) -> None:
        library.put("files", [arrival(uri, *texts, readers=readers)], {generation: EMBEDDER.passages(texts)})

    for number in range(30):
        put(f"open{number}.md", [sentence(chance) for _ in range(10)], [EVERYONE])
        put(f"lab{number}.md", [sentence(chance) for _ in range(3)], ["lab"])
    library.tend_index(200)  # a graph for what everyone may read, none for the laboratory
    questions = [sentence(chance) for _ in range(20)]

    def answers() -> list[list[Passage]]:
        return [
            passages
            for question in questions
            for passages in (
                search.nearest(LAB, EMBEDDER.query(question), generation, 20, exact=False),
                search.nearest(LAB, EMBEDDER.query(question), generation, 20, exact=True),
                search.matching(LAB, question.split(), 20),
            )
        ]

    before = answers()
    for number in range(3):
        put(
            f"secret{number}.md",
            [q for q in questions for _ in range(number + 1)],
            [["hr"], ["ceo"], []][number],
        )
        assert answers() == before
        library.tend_index(20)  # the forbidden zone gets a graph of its own, and so does the laboratory's
        if number == 0:
            before = answers()
    library.delete("files", ["secret0.md", "secret1.md", "secret2.md"])
    library.tend_index(20)
    assert answers() == before


def test_moving_a_document_takes_it_from_one_graph_into_another(
    library: PostgresLibrary, postgres: Postgres
) -> None:
    generation, search = begin(library), PostgresSearch(postgres)
    for uri, readers in (("open.md", [EVERYONE]), ("lab.md", ["lab"])):
        texts = [f"{uri} {number}" for number in range(20)]
        library.put("files", [arrival(uri, *texts, readers=readers)], {generation: EMBEDDER.passages(texts)})
    arrived = arrival("moved.md", "the blue binder", readers=["lab"])
    library.put("files", [arrived], {generation: EMBEDDER.passages(["the blue binder"])})
    assert len(library.tend_index(10)) == 2
    outsider, asked = Principal("o", frozenset()), EMBEDDER.query("the blue binder")

    def first(who: Principal) -> str:
        return search.nearest(who, asked, generation, 5, exact=False)[0].uri

    for readers, seen in (([EVERYONE], "moved.md"), (["lab"], "open.md")):
        library.move_audience("files", replace(arrived.file, audience=Audience(frozenset(readers))))
        assert (first(LAB), first(outsider)) == ("moved.md", seen)


def test_boot_refuses_a_graph_through_several_zones(
    library: PostgresLibrary, admin: Admin, postgres: Postgres
) -> None:
    generation = begin(library)
    admin.execute(
        f"create index wide on kiban.embedding_{generation}"
        f" using hnsw ((vector::halfvec({EMBEDDER.dimensions})) halfvec_cosine_ops)".encode()
    )
    with pytest.raises(UnsafeRole, match="wide is a graph through more than one zone"):
        with postgres.reading([]) as reader:
            posture.check(reader)
