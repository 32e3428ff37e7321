"""What a picture shows leads those who may read it to the passage beside it: in memory and in Postgres."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.search import PostgresSearch
from kiban.domain.access import Audience, Principal
from kiban.domain.document import Arrival, Picture
from kiban.domain.question import EVERYTHING, Passage, Scope
from kiban.ingest import pictures
from kiban.ports import Library, SearchIndex
from kiban.retrieve.search import DENSE, PICTURES, find
from kiban.testing import (
    ColourEmbedder,
    HashEmbedder,
    MemoryLibrary,
    MemorySearch,
    WordTokenizer,
    arrival,
)

RED, GREEN, BLUE = (220, 30, 30), (30, 200, 30), (30, 30, 220)
EVERYBODY = Principal("someone", frozenset())
HR = Principal("aoi", frozenset({"hr"}))
LAB = Principal("ken", frozenset({"lab"}))
EMBEDDER, COLOURS = HashEmbedder(), ColourEmbedder()


@dataclass(frozen=True)
class Shelf:
    library: Library
    search: SearchIndex
    generation: int

    def put(self, *arrivals: Arrival) -> None:
        texts = [chunk.normalised for arrived in arrivals for chunk in arrived.chunks]
        self.library.put("files", arrivals, {self.generation: EMBEDDER.passages(texts)})

    def seen(
        self,
        who: Principal,
        question: str,
        lanes: tuple[str, ...] = (PICTURES,),
        scope: Scope = EVERYTHING,
    ) -> list[Passage]:
        return find(
            question,
            who,
            index=self.search,
            tokenizer=WordTokenizer(),
            embedder=EMBEDDER,
            generation=self.generation,
            lanes=lanes,
            scope=scope,
            picture_embedder=COLOURS,
            limit=10,
        )


@pytest.fixture(params=["memory", "postgres"])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    if request.param == "memory":
        memory = MemoryLibrary()
        return Shelf(memory, MemorySearch(memory), generation=1)
    postgres: Postgres = request.getfixturevalue("postgres")
    library = PostgresLibrary(postgres)
    generation = library.add_generation("hash", "0" * 64, EMBEDDER.dimensions, "words-1", "whole")
    return Shelf(library, PostgresSearch(postgres), generation)


def shown(arrived: Arrival, *colours: tuple[int, int, int], chunk: int = 0) -> Arrival:
    """Return the arrival with pictures beside one of its chunks."""
    at = arrived.chunks[chunk].span.start + 1
    seen = [Picture(at, 2, 1, bytes(colour) * 2, "図1") for colour in colours]
    embedded = pictures.embed([replace(arrived, pictures=pictures.beside(seen, arrived.chunks))], COLOURS)[0]
    return replace(embedded, pictures=arrived.pictures + embedded.pictures)


def texts(passages: list[Passage]) -> list[str]:
    return [passage.original for passage in passages]


def test_a_question_finds_the_passage_beside_the_picture_that_shows_it(shelf: Shelf) -> None:
    report = arrival("report.md", "ポンプの外観。", "弁の断面。", "図のない節。")
    shelf.put(shown(shown(report, RED), BLUE, chunk=1), shown(arrival("b.md", "植栽の計画。"), GREEN))
    found = shelf.seen(EVERYBODY, "blue drawing")
    assert texts(found)[0] == "弁の断面。"
    assert "図のない節。" not in texts(found)
    assert texts(shelf.seen(EVERYBODY, "赤い図"))[0] == "ポンプの外観。"
    (expected,) = COLOURS.pictures([Picture(0, 2, 1, bytes(BLUE) * 2)])
    cosine = sum(a * b for a, b in zip(expected, COLOURS.query("blue drawing"), strict=True))
    assert found[0].score == pytest.approx(cosine, abs=2e-3)  # half precision
    assert [(why.lane, why.rank) for why in found[0].why] == [(PICTURES, 1)]


def test_a_passage_beside_several_pictures_comes_once_with_its_best(shelf: Shelf) -> None:
    shelf.put(shown(arrival("a.md", "三つの図。"), RED, GREEN, BLUE), shown(arrival("b.md", "青。"), BLUE))
    first, second = shelf.seen(EVERYBODY, "blue")
    assert first.score == pytest.approx(second.score)
    assert texts([first, second]) == ["三つの図。", "青。"]


def test_pictures_change_nothing_unless_their_lane_is_asked_for(shelf: Shelf) -> None:
    shelf.put(shown(arrival("a.md", "red pump"), RED), arrival("b.md", "blue valve"))
    plain = shelf.seen(EVERYBODY, "red", lanes=(DENSE,))
    assert {why.lane for passage in plain for why in passage.why} == {DENSE}
    both = shelf.seen(EVERYBODY, "red", lanes=(DENSE, PICTURES))
    assert {why.lane for passage in both for why in passage.why} == {DENSE, PICTURES}


def test_who_may_not_read_a_document_is_not_led_to_it_by_its_pictures(shelf: Shelf) -> None:
    shelf.put(
        shown(arrival("hr.md", "人事の図。", readers=["hr"]), RED),
        shown(arrival("lab.md", "研究の図。", readers=["lab"]), RED),
        shown(arrival("none.md", "誰にも見えない図。", readers=[]), RED),
    )
    assert shelf.seen(EVERYBODY, "red") == []
    assert texts(shelf.seen(HR, "red")) == ["人事の図。"]
    assert texts(shelf.seen(LAB, "red")) == ["研究の図。"]


def test_what_others_hold_changes_neither_scores_nor_order(shelf: Shelf) -> None:
    shelf.put(shown(arrival("a.md", "甲。"), RED), shown(arrival("b.md", "乙。"), GREEN))
    before = shelf.seen(EVERYBODY, "red green blue")
    shelf.put(*(shown(arrival(f"{n}.md", f"隠し{n}。", readers=["hr"]), RED, BLUE) for n in range(120)))
    assert shelf.seen(EVERYBODY, "red green blue") == before


def test_a_documents_pictures_move_with_its_readers(shelf: Shelf) -> None:
    secret = shown(arrival("a.md", "移る図。", readers=["hr"]), RED)
    shelf.put(secret)
    shelf.library.move_audience("files", replace(secret.file, audience=Audience(frozenset({"lab"}))))
    assert shelf.seen(HR, "red") == []
    assert texts(shelf.seen(LAB, "red")) == ["移る図。"]


def test_what_replaces_a_document_replaces_its_pictures_and_what_deletes_it_deletes_them(
    shelf: Shelf,
) -> None:
    shelf.put(shown(arrival("a.md", "前の図。"), RED))
    shelf.put(shown(arrival("a.md", "後の図。"), BLUE))
    (only,) = shelf.seen(EVERYBODY, "red")
    assert only.original == "後の図。"
    shelf.library.fail("files", arrival("a.md", "x").file, "broken")
    assert shelf.seen(EVERYBODY, "red") == []
    shelf.put(shown(arrival("a.md", "また図。"), RED))
    shelf.library.delete("files", ["a.md"])
    assert shelf.seen(EVERYBODY, "red") == []


def test_the_vectors_of_another_embedder_are_not_compared(shelf: Shelf) -> None:
    old = shown(arrival("old.md", "古い図。"), RED)
    longer = tuple(replace(each, embedder_sha256="old", vector=(1.0, 0.0)) for each in old.pictures)
    shelf.put(replace(old, pictures=longer), shown(arrival("new.md", "新しい図。"), RED))
    assert texts(shelf.seen(EVERYBODY, "red")) == ["新しい図。"]


def test_a_scope_narrows_what_pictures_lead_to(shelf: Shelf) -> None:
    shelf.put(shown(arrival("a/1.md", "甲の図。"), RED), shown(arrival("b/1.md", "乙の図。"), RED))
    assert texts(shelf.seen(EVERYBODY, "red", scope=Scope(under="b/"))) == ["乙の図。"]
