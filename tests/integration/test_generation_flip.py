"""A generation is built and flipped to while people ask and documents come in."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from two_cuts import AUDIENCES, LetterTokenizer, TwoCuts

from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.generations import PostgresGenerations
from kiban.backends.postgres.ledger import PostgresLedger
from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.search import PostgresSearch
from kiban.domain.access import Principal
from kiban.domain.document import ParsedDocument, Place, Section
from kiban.domain.release import Release
from kiban.errors import NoSuchGeneration
from kiban.release import ledger as releases
from kiban.retrieve.search import find
from kiban.testing import HashEmbedder, WordTokenizer, arrival
from kiban.wiring.generations import fill

SOMEONE = Principal("someone", frozenset())
OLD, NEW = HashEmbedder(32), HashEmbedder(64)  # vectors of one never fit the other: a mixture is an error
TOKENIZER = WordTokenizer()


class House:
    """Two generations over one library, and a ledger that says which one answers."""

    def __init__(self, postgres: Postgres) -> None:
        self.library, self.index = PostgresLibrary(postgres), PostgresSearch(postgres)
        self.known, self.ledger = PostgresGenerations(postgres), PostgresLedger(postgres)
        self.old = self.begin(OLD)
        self.embedders = {self.old: OLD}
        release = Release("llm", None, None, None, "old", "o" * 64, self.old, "prompt-1", None)
        releases.found(self.ledger, release, actor="kiban up")
        self.release = release

    def begin(self, embedder: HashEmbedder) -> int:
        name = str(embedder.dimensions)
        return self.library.add_generation(name, name, embedder.dimensions, TOKENIZER.name, "whole")

    def put(self, uri: str, text: str) -> None:
        vectors = {id: embedder.passages([text]) for id, embedder in self.embedders.items()}
        self.library.put("files", [arrival(uri, text)], vectors)

    def ask(self) -> tuple[int, set[str]]:
        release = releases.in_force(self.ledger)
        found = find(
            "pump number 1 oil",
            SOMEONE,
            index=self.index,
            tokenizer=TOKENIZER,
            embedder={self.old: OLD}.get(release.generation, NEW),
            generation=release.generation,
            limit=10,
        )
        return release.generation, {hit.lane for passage in found for hit in passage.why}


@pytest.fixture
def house(postgres: Postgres) -> House:
    house = House(postgres)
    for number in range(40):
        house.put(f"{number}.md", f"pump number {number} needs oil")
    return house


def two_more(stored: list[int]) -> None:
    """Wait until nothing is under way that was before."""
    before = len(stored)
    while len(stored) < before + 2:
        threading.Event().wait(0.01)


@contextmanager
def meanwhile(*works: object) -> Iterator[list[BaseException]]:
    """Repeat each work in a thread of its own until the block ends; give what went wrong."""
    over, wrong = threading.Event(), list[BaseException]()

    def repeat(work: object) -> None:
        while not over.is_set():
            try:
                work()  # type: ignore[operator]
            except Exception as error:  # the test's own boundary: it is reported
                wrong.append(error)

    threads = [threading.Thread(target=repeat, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield wrong
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_building_and_flipping_fails_no_question_and_mixes_nothing(house: House) -> None:
    seen: list[tuple[int, set[str]]] = []
    written = iter(range(40, 10_000))
    stored: list[int] = []
    paces: list[float] = []

    def ask() -> None:
        seen.append(house.ask())

    def store() -> None:
        number = next(written)
        house.put(f"{number}.md", f"pump number {number} needs oil")
        stored.append(number)

    with meanwhile(ask, ask, store) as wrong:
        new = house.begin(NEW)
        house.embedders = {house.old: OLD, new: NEW}  # as ingestion finds them from its next batch on
        fill(house.library, new, NEW, rate=20, sleep=paces.append)
        two_more(stored)
        fill(house.library, new, NEW)  # what was under way when the generation began
        flipped = replace(house.release, embedder="new", embedder_sha256="n" * 64, generation=new)
        seen_last = releases.last_seen(house.ledger)
        releases.flip(
            house.ledger, flipped, actor="aoi", reason="better", evidence="1-2.json", seen=seen_last
        )
        at_flip = len(seen)
        while len(seen) < at_flip + 20:
            threading.Event().wait(0.01)
        assert house.ask()[0] == new
        releases.flip_back(house.ledger, actor="aoi", reason="try again")
        at_return = len(seen)
        while len(seen) < at_return + 20:
            threading.Event().wait(0.01)

    assert wrong == []
    assert {generation for generation, _ in seen} == {house.old, new}
    assert all(lanes == {"dense", "lexical"} for _, lanes in seen)
    assert paces  # it was held back
    known = {one.id: one for one in house.known.all()}
    assert (known[new].missing, known[house.old].missing) == (0, 0)
    assert house.ask()[0] == house.old


def test_flipping_to_another_cut_fails_no_question_and_mixes_nothing(postgres: Postgres) -> None:
    """Chunks of the old cut hold all six sentences of a document, those of the new one at most three."""
    cuts, ledger, chance, stored = TwoCuts(postgres), PostgresLedger(postgres), random.Random(1), list[int]()
    base = Release("llm", None, None, None, "old", "o" * 64, cuts.old, "prompt-1", None)
    releases.found(ledger, base, actor="kiban up")
    written = iter(range(10_000))

    def store() -> None:
        number = next(written)
        text = f"pump number {number} needs oil. " * 6
        readers = chance.choice(AUDIENCES)
        cuts.put((ParsedDocument(f"{number} {'-'.join(readers)}.md", (Section(text, Place()),)), readers))
        stored.append(number)

    seen: list[tuple[int, set[int], set[str]]] = []

    def ask() -> None:
        release = releases.in_force(ledger)
        old = release.generation == cuts.old
        found = find(
            "pump number 1 oil",
            SOMEONE,
            index=cuts.search(release.generation),
            tokenizer=TOKENIZER if old else LetterTokenizer(),
            embedder=OLD if old else NEW,
            generation=release.generation,
            limit=50,
        )
        sentences = {passage.original.count("oil.") for passage in found}
        seen.append((release.generation, sentences, {passage.uri.split()[1] for passage in found}))

    def answers() -> None:
        begun = len(seen)
        while len(seen) < begun + 20:
            threading.Event().wait(0.01)

    for _ in range(20):
        store()
    with meanwhile(ask, ask, store) as wrong:
        cuts.build()
        new = cuts.new
        assert new is not None
        two_more(stored)
        cuts.build()  # what was under way when the generation began
        flipped = replace(base, embedder="new", embedder_sha256="n" * 64, generation=new)
        last = releases.last_seen(ledger)
        releases.flip(ledger, flipped, actor="aoi", reason="better", evidence="1-2.json", seen=last)
        answers()
        releases.flip_back(ledger, actor="aoi", reason="try again")
        answers()

    assert wrong == []
    assert {generation for generation, _, _ in seen} == {cuts.old, new}
    for generation, sentences, readers in seen:
        assert sentences and (sentences == {6} if generation == cuts.old else sentences <= {1, 2, 3})
        assert readers == {"everyone.md"}
    assert cuts.known.one(new).whole and cuts.known.one(cuts.old).whole


def test_an_interrupted_build_continues(house: House) -> None:
    new = house.begin(NEW)

    def interrupt(done: int, total: int, what: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill(house.library, new, NEW, rate=10, progress=interrupt, sleep=lambda _: None)
    half = house.known.one(new)
    assert (half.vectors, half.missing) == (10, 30)
    calls = len(NEW.calls)
    fill(house.library, new, NEW)
    assert NEW.calls[calls:] == [30]
    assert house.known.one(new).built == 1.0
    assert house.known.one(new).size > 0


def test_what_is_not_there_is_named(house: House) -> None:
    with pytest.raises(NoSuchGeneration, match="there are: 1"):
        house.known.one(99)
