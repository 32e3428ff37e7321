"""What is stored is found by those who may read it: in memory and in Postgres alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log

import pytest

from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.search import PostgresSearch
from kiban.domain.access import NOBODY, Audience, Principal
from kiban.domain.document import Arrival, DocumentState, Place
from kiban.domain.question import Passage, Scope
from kiban.ports import Library, SearchIndex
from kiban.testing import HashEmbedder, MemoryLibrary, MemorySearch, arrival

SOMEONE = Principal("someone", frozenset())
AOI = Principal("aoi", frozenset({"hr"}))
KEN = Principal("ken", frozenset({"lab", "plant"}))
EMBEDDER = HashEmbedder()


@dataclass(frozen=True)
class Shelf:
    library: Library
    search: SearchIndex
    generation: int

    def put(self, *arrivals: Arrival, source: str = "files") -> None:
        texts = [chunk.normalised for arrived in arrivals for chunk in arrived.chunks]
        self.library.put(source, arrivals, {self.generation: EMBEDDER.passages(texts)})

    def near(self, who: Principal, text: str, limit: int = 10) -> list[Passage]:
        return self.search.nearest(who, EMBEDDER.query(text), self.generation, limit, exact=True)


@pytest.fixture(params=["memory", "postgres"])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    if request.param == "memory":
        memory = MemoryLibrary()
        return Shelf(memory, MemorySearch(memory), generation=1)
    postgres: Postgres = request.getfixturevalue("postgres")
    library = PostgresLibrary(postgres)
    generation = library.add_generation("hash", "0" * 64, EMBEDDER.dimensions, "words-1", "whole")
    return Shelf(library, PostgresSearch(postgres), generation)


def uris(passages: Sequence[Passage]) -> list[str]:
    return [passage.uri for passage in passages]


def test_a_passage_knows_where_its_document_is_opened(shelf: Shelf) -> None:
    arrived = arrival("rules.pdf", "年次有給休暇は二十日。")
    shelf.put(replace(arrived, file=replace(arrived.file, url="https://portal.example/rules")))
    [near] = shelf.near(SOMEONE, "年次有給休暇")
    [matching] = shelf.search.matching(SOMEONE, ["年次"], 10)
    assert near.url == matching.url == "https://portal.example/rules"


def test_what_was_put_comes_back_as_it_was(shelf: Shelf) -> None:
    place = Place(page=3, heading="第2章 > 休暇")
    arrived = arrival("rules.pdf", "年次有給休暇は二十日。", "慶弔休暇は五日。")
    first, second = arrived.chunks
    shelf.put(
        replace(arrived, title="就業規則", chunks=(replace(first, place=place, original="年次"), second))
    )

    (document,) = shelf.search.documents(SOMEONE)
    assert (document.uri, document.title, document.version) == ("rules.pdf", "就業規則", 1)
    assert (document.state, document.audience) == (DocumentState.READY, Audience(frozenset({"everyone"})))
    one, two = shelf.search.browse(SOMEONE)
    assert (one.place, one.original, one.normalised, one.span) == (
        place,
        "年次",
        first.normalised,
        first.span,
    )
    assert (two.span, two.title, two.document_id) == (second.span, "就業規則", document.id)


def test_a_new_version_replaces_the_old_whole(shelf: Shelf) -> None:
    shelf.put(arrival("a.md", "old words here", "more old words"))
    shelf.put(arrival("a.md", "new words here"))
    (document,) = shelf.library.documents()
    assert document.version == 2
    assert [passage.original for passage in shelf.search.browse(SOMEONE)] == ["new words here"]
    assert shelf.search.matching(SOMEONE, ["old"], 10) == []


def test_storing_the_same_content_again_is_no_new_version(shelf: Shelf) -> None:
    for _ in range(2):
        shelf.put(arrival("a.md", "the same words"))
    assert [document.version for document in shelf.library.documents()] == [1]
    assert shelf.search.visible_chunks(SOMEONE) == 1


def test_a_file_that_fails_is_kept_by_name_and_served_no_more(shelf: Shelf) -> None:
    arrived = arrival("a.md", "readable once")
    shelf.put(arrived)
    broken = replace(arrived.file, sha256="f" * 64)
    shelf.library.fail("files", broken, "The file is damaged.")
    shelf.library.fail("files", broken, "The file is damaged.")
    (document,) = shelf.library.documents("files")
    assert (document.state, document.reason, document.attempts, document.version) == (
        DocumentState.FAILED,
        "The file is damaged.",
        2,
        2,
    )
    assert shelf.search.browse(SOMEONE) == shelf.near(SOMEONE, "readable once") == []

    shelf.put(arrived)
    (document,) = shelf.library.documents("files")
    assert (document.state, document.reason, document.attempts) == (DocumentState.READY, "", 0)


def test_deleting_takes_only_what_is_named_in_its_source(shelf: Shelf) -> None:
    shelf.put(arrival("a.md", "alpha"), arrival("b.md", "beta"))
    shelf.put(arrival("a.md", "alpha elsewhere"), source="other")
    assert shelf.library.delete("files", ["a.md", "never.md"]) == 1
    assert [(d.source, d.uri) for d in shelf.library.documents()] == [("files", "b.md"), ("other", "a.md")]
    assert sorted(uris(shelf.search.browse(SOMEONE))) == ["a.md", "b.md"]


def test_a_document_that_comes_back_after_deletion_is_another_document(shelf: Shelf) -> None:
    shelf.put(arrival("a.md", "alpha"), arrival("b.md", "beta"))
    ids = {document.id for document in shelf.library.documents()}
    shelf.library.delete("files", ["a.md", "b.md"])
    shelf.put(arrival("a.md", "alpha"))
    assert shelf.library.documents()[0].id not in ids


def test_each_principal_sees_the_documents_of_their_groups_and_of_everyone(shelf: Shelf) -> None:
    shelf.put(
        arrival("all.md", "common words"),
        arrival("hr.md", "common words of people", readers=["hr", "board"]),
        arrival("lab.md", "common words of the lab", readers=["lab"]),
        arrival("none.md", "common words of nobody", readers=[]),
    )
    for who, expected in {
        SOMEONE: ["all.md"],
        AOI: ["all.md", "hr.md"],
        KEN: ["all.md", "lab.md"],
    }.items():
        assert sorted(uris(shelf.search.browse(who))) == expected
        assert sorted(uris(shelf.near(who, "common words"))) == expected
        assert sorted(uris(shelf.search.matching(who, ["common"], 10))) == expected
        assert sorted(document.uri for document in shelf.search.documents(who)) == expected
        assert shelf.search.visible_chunks(who) == len(expected)


def test_a_group_is_matched_whole_whatever_its_name_holds(shelf: Shelf) -> None:
    named = 'CN="人事, 部",OU={a}\\b'
    shelf.put(arrival("hr.md", "words", readers=[named]))
    assert shelf.search.visible_chunks(Principal("in", frozenset({named}))) == 1
    for part in ('CN="人事', "人事", "OU={a}\\b", "", "{", "*"):
        assert shelf.search.visible_chunks(Principal("out", frozenset({part}))) == 0


def test_moving_the_audience_shows_to_the_new_and_hides_from_the_old(shelf: Shelf) -> None:
    arrived = arrival("a.md", "common words", readers=["hr"])
    shelf.put(arrived)
    shelf.library.move_audience("files", replace(arrived.file, audience=Audience(frozenset({"lab"}))))
    for who, expected in {AOI: [], KEN: ["a.md"]}.items():
        assert uris(shelf.near(who, "common words")) == expected
        assert uris(shelf.search.matching(who, ["common"], 10)) == expected
        assert [document.uri for document in shelf.search.documents(who)] == expected


def test_the_nearest_come_first_with_their_cosine(shelf: Shelf) -> None:
    shelf.put(arrival("a.md", "出張旅費の精算", "社員食堂", "出張の宿泊費"))
    query = EMBEDDER.query("出張旅費")
    found = shelf.near(SOMEONE, "出張旅費", limit=2)
    assert [passage.original for passage in found] == ["出張旅費の精算", "出張の宿泊費"]
    for passage in found:
        cosine = sum(a * b for a, b in zip(query, EMBEDDER.query(passage.original), strict=True))
        assert passage.score == pytest.approx(cosine, abs=2e-3)  # half precision


def test_bm25_scores_are_those_of_the_textbook(shelf: Shelf) -> None:
    shelf.put(arrival("a.md", "pump pump valve", "pump", "motor motor"))
    found = shelf.search.matching(SOMEONE, ["pump", "valve", "pump", "unknown"], 10)

    def part(frequency: int, length: int, having: int) -> float:
        idf = log(1 + (3 - having + 0.5) / (having + 0.5))
        return idf * frequency * 2.2 / (frequency + 1.2 * (0.25 + 0.75 * length / 2))

    assert [passage.original for passage in found] == ["pump pump valve", "pump"]
    assert found[0].score == pytest.approx(part(2, 3, 2) + part(1, 3, 1))
    assert found[1].score == pytest.approx(part(1, 1, 2))


def test_nothing_matches_no_term_and_no_shelf(shelf: Shelf) -> None:
    assert shelf.search.matching(SOMEONE, ["pump"], 10) == shelf.near(SOMEONE, "pump") == []
    shelf.put(arrival("a.md", "pump"))
    assert shelf.search.matching(SOMEONE, [], 10) == []


def test_what_may_not_be_read_changes_no_score(shelf: Shelf) -> None:
    shelf.put(arrival("a.md", "pump valve", "pump", "motor oil"))
    before = shelf.search.matching(SOMEONE, ["pump", "valve"], 10), shelf.near(SOMEONE, "pump")
    shelf.put(arrival("secret.md", *["pump valve pump"] * 20, readers=["hr"]))
    assert before == (shelf.search.matching(SOMEONE, ["pump", "valve"], 10), shelf.near(SOMEONE, "pump"))


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (Scope(), ["2026/a.md", "2026/b.PDF", "c.md"]),
        (Scope(under="2026/"), ["2026/a.md", "2026/b.PDF"]),
        (Scope(formats=("pdf", "docx")), ["2026/b.PDF"]),
        (Scope(formats=("md",), under="2026/"), ["2026/a.md"]),
        (Scope(sources=("other",)), ["c.md"]),
        (Scope(sources=("files", "other")), ["2026/a.md", "2026/b.PDF", "c.md"]),
        (Scope(under="2026/%"), []),
        (Scope(documents=(10**9,)), []),
    ],
)
def test_a_scope_narrows_every_lane_and_opens_none(shelf: Shelf, scope: Scope, expected: list[str]) -> None:
    shelf.put(arrival("2026/a.md", "pump valve"), arrival("2026/b.PDF", "pump"))
    shelf.put(arrival("2026/secret.md", "pump", readers=["hr"]))
    shelf.put(arrival("c.md", "pump oil"), source="other")
    query = EMBEDDER.query("pump")
    for exact in (True, False):
        near = shelf.search.nearest(SOMEONE, query, shelf.generation, 10, exact=exact, scope=scope)
        assert sorted(uris(near)) == expected
    assert sorted(uris(shelf.search.matching(SOMEONE, ["pump"], 10, scope=scope))) == expected
    assert shelf.search.visible_chunks(SOMEONE, scope) == len(expected)


def test_a_scope_may_name_documents_but_not_those_of_others(shelf: Shelf) -> None:
    shelf.put(arrival("a.md", "pump"), arrival("b.md", "pump"), arrival("hr.md", "pump", readers=["hr"]))
    ids = {document.uri: document.id for document in shelf.library.documents()}
    scope = Scope(documents=(ids["b.md"], ids["hr.md"]))
    assert uris(shelf.search.matching(SOMEONE, ["pump"], 10, scope=scope)) == ["b.md"]
    assert sorted(uris(shelf.search.matching(AOI, ["pump"], 10, scope=scope))) == ["b.md", "hr.md"]


def test_a_scope_changes_no_score(shelf: Shelf) -> None:
    shelf.put(arrival("a/1.md", "pump valve", "pump"), arrival("b/2.md", "valve", "motor oil"))
    everywhere = shelf.search.matching(SOMEONE, ["pump", "valve"], 10)
    within = shelf.search.matching(SOMEONE, ["pump", "valve"], 10, scope=Scope(under="b/"))
    assert within == [passage for passage in everywhere if passage.uri == "b/2.md"] != []


READERS = (
    {"everyone"},
    {"hr"},
    {"lab"},
    {"hr", "lab"},
    {"hr", "lab", "plant"},
    {"plant"},
    {"everyone", "hr"},
    set[str](),
)


@pytest.mark.parametrize("zone", [{"hr"}, {"hr", "lab"}, {"hr", "lab", "plant"}, {"everyone"}, set[str]()])
def test_members_of_a_zone_together_read_what_each_of_them_may_read(shelf: Shelf, zone: set[str]) -> None:
    """And what only some of them may read changes nothing that is found for them, not even a score."""
    members = Principal.members(Audience(frozenset(zone)))
    readable = [number for number, readers in enumerate(READERS) if "everyone" in readers]
    if zone and zone != {"everyone"}:
        readable = [n for n, readers in enumerate(READERS) if "everyone" in readers or readers >= zone]

    def found() -> list[list[tuple[str, float]]]:
        near, terms = shelf.near(members, "oil for pumps", 50), ["oil", "pumps", "of"]
        lanes = [shelf.search.browse(members), near, shelf.search.matching(members, terms, 50)]
        return [[(passage.uri, passage.score) for passage in lane] for lane in lanes]

    def put(number: int) -> None:
        shelf.put(arrival(f"{number}.md", f"oil {number * 'of '} pumps {number}", readers=READERS[number]))

    for number in readable:
        put(number)
    alone = found()
    for number in set(range(len(READERS))) - set(readable):
        put(number)
    assert found() == alone
    assert {uri for lane in alone for uri, _ in lane} == {f"{number}.md" for number in readable}
    assert {document.uri for document in shelf.search.documents(members)} == {f"{n}.md" for n in readable}


def test_who_may_read_a_document_is_told_only_to_those(shelf: Shelf) -> None:
    shelf.put(arrival("a.md", "one"), arrival("b.md", "two", readers={"hr", "lab"}))
    ids = {document.uri: document.id for document in shelf.library.documents()}
    assert shelf.search.audience(SOMEONE, ids["a.md"]) == Audience(frozenset({"everyone"}))
    assert shelf.search.audience(AOI, ids["b.md"]) == Audience(frozenset({"hr", "lab"}))
    assert shelf.search.audience(SOMEONE, ids["b.md"]) == shelf.search.audience(SOMEONE, 10**6) == NOBODY
    for document in shelf.library.documents():
        shelf.library.move_audience("files", arrival(document.uri, "", readers={"lab"}).file)
    assert shelf.search.audience(AOI, ids["b.md"]) == NOBODY
