"""A new generation of vectors is built beside the one that answers."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest

from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.ledger import PostgresLedger
from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.search import GRAPH, GRAPH_SETTINGS, PostgresSearch
from kiban.domain.access import Principal
from kiban.domain.release import Action, Release
from kiban.testing import HashEmbedder, arrival

Admin = psycopg.Connection[tuple[Any, ...]]
SOMEONE = Principal("someone", frozenset())
OLD, NEW = HashEmbedder(32), HashEmbedder(64)
TEXTS = ["pump and valve", "motor oil", "holiday rules"]


@pytest.fixture
def library(postgres: Postgres) -> PostgresLibrary:
    return PostgresLibrary(postgres)


def begin(library: PostgresLibrary, embedder: HashEmbedder) -> int:
    return library.add_generation("hash", str(embedder.dimensions), embedder.dimensions, "words-1", "whole")


def test_the_same_parts_are_the_same_generation(library: PostgresLibrary) -> None:
    assert begin(library, OLD) == begin(library, OLD) != begin(library, NEW)


def test_a_generation_is_built_from_what_is_stored_and_then_answers(
    library: PostgresLibrary, postgres: Postgres
) -> None:
    old, new = begin(library, OLD), begin(library, NEW)
    library.put("files", [arrival("a.md", *TEXTS)], {old: OLD.passages(TEXTS)})
    assert library.chunks_without(old) == {}

    while waiting := library.chunks_without(new, limit=2):
        assert {title for title, _ in waiting.values()} == {"a.md"}
        texts = [chunk.normalised for _, chunk in waiting.values()]
        library.add_embeddings(new, list(waiting), NEW.passages(texts))
    library.tend_index(1)

    search = PostgresSearch(postgres)
    for generation, embedder in ((old, OLD), (new, NEW)):
        for exact in (True, False):
            found = search.nearest(SOMEONE, embedder.query("motor oil"), generation, 3, exact=exact)
            assert found[0].original == "motor oil"


def test_chunks_that_went_while_they_were_embedded_are_passed_over(library: PostgresLibrary) -> None:
    new = begin(library, NEW)
    library.put("files", [arrival("a.md", "one"), arrival("b.md", "two")], {})
    waiting = library.chunks_without(new)
    library.delete("files", ["a.md"])
    library.add_embeddings(new, list(waiting), NEW.passages(["one", "two"]))
    assert library.chunks_without(new) == {}
    assert library.counts().without_vector == 0


def test_vectors_of_another_length_are_refused(library: PostgresLibrary) -> None:
    new = begin(library, NEW)
    with pytest.raises(psycopg.errors.CheckViolation):
        library.put("files", [arrival("a.md", "one")], {new: OLD.passages(["one"])})
    assert library.documents() == []


def test_a_generation_can_be_dropped_unless_a_release_was_made_with_it(
    library: PostgresLibrary, postgres: Postgres
) -> None:
    old, new = begin(library, OLD), begin(library, NEW)
    library.put("files", [arrival("a.md", *TEXTS)], {old: OLD.passages(TEXTS), new: NEW.passages(TEXTS)})
    release = Release("qwen", None, None, None, "/models/e5", "e" * 64, old, "prompt-1", None)
    PostgresLedger(postgres).append(
        after=0, actor="aoi", action=Action.FOUNDED, release=release, reason="", evidence=""
    )
    with pytest.raises(psycopg.errors.RaiseException, match="release"):
        library.drop_generation(old)
    library.drop_generation(new)
    search = PostgresSearch(postgres)
    assert len(search.nearest(SOMEONE, OLD.query("pump"), old, 3, exact=True)) == 3
    assert search.nearest(SOMEONE, NEW.query("pump"), new, 3, exact=True) == []


def test_the_graph_is_used_when_there_is_much_to_search(library: PostgresLibrary, postgres: Postgres) -> None:
    chance = random.Random(1)
    generation = library.add_generation("noise", "noise", 16, "words-1", "whole")
    texts = [f"text {number}" for number in range(4000)]
    vectors = [[chance.gauss(0, 1) for _ in range(16)] for _ in texts]
    library.put("files", [arrival("a.md", *texts)], {generation: vectors})
    library.tend_index(1)

    search = PostgresSearch(postgres)
    with postgres.reading(["everyone"]) as tx:
        tx.execute(GRAPH_SETTINGS, ["200"])
        (zone,) = tx.execute("select zone_id from kiban.graph").fetchone() or ()
        query = GRAPH.format(generation=generation, zone=zone, dimensions=16, in_scope="true")
        literal = psycopg.sql.Literal(str(vectors[0])).as_string()
        query = query.replace("%(vector)s", f"{literal}::halfvec")
        query = query.replace("%(limit)s", "10")
        plan = "\n".join(line for (line,) in tx.execute(f"explain {query}".encode()))
    assert f"embedding_{generation}_zone_{zone}_graph" in plan

    hits = 0
    for vector in vectors[:50]:
        exact = search.nearest(SOMEONE, vector, generation, 10, exact=True)
        graph = search.nearest(SOMEONE, vector, generation, 10, exact=False)
        hits += len({p.chunk_id for p in exact} & {p.chunk_id for p in graph})
    assert hits / 500 >= 0.97
