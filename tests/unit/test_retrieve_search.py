"""Two lanes, one list, and never without a principal."""

from __future__ import annotations

import inspect

import pytest

from kiban.domain.access import Principal
from kiban.domain.document import Place
from kiban.domain.question import EVERYTHING, Passage, Scope
from kiban.domain.text import Span
from kiban.ports import Vector
from kiban.retrieve.fuse import fuse
from kiban.retrieve.search import find
from kiban.testing import HashEmbedder, MemoryLibrary, MemorySearch, WordTokenizer, arrival

SOMEONE = Principal("someone", frozenset())
EMBEDDER, TOKENIZER = HashEmbedder(), WordTokenizer()


def passage(chunk_id: int, score: float) -> Passage:
    return Passage(chunk_id, 1, "a.md", "a", 1, Place(), Span(0, 1), "x", "x", score)


def scored(passages: list[Passage]) -> list[tuple[int, float]]:
    return [(found.chunk_id, round(found.score, 6)) for found in passages]


def test_each_ranking_is_stretched_before_it_is_weighed() -> None:
    dense = [passage(1, 0.90), passage(2, 0.85), passage(3, 0.80)]
    lexical = [passage(2, 12.0), passage(4, 2.0)]
    assert scored(fuse([dense, lexical], [0.5, 0.5])) == [(2, 0.75), (1, 0.5), (3, 0.0), (4, 0.0)]


def test_a_ranking_without_differences_counts_in_full() -> None:
    assert scored(fuse([[passage(1, 3.0)], [passage(2, 0.5), passage(3, 0.5)]], [0.4, 0.6])) == [
        (2, 0.6),
        (3, 0.6),
        (1, 0.4),
    ]


def test_an_empty_ranking_leaves_the_other_in_its_order() -> None:
    dense = [passage(9, 0.9), passage(1, 0.8), passage(5, 0.7)]
    assert [found.chunk_id for found in fuse([dense, []], [0.5, 0.5])] == [9, 1, 5]
    assert fuse([[], []], [0.5, 0.5]) == []


@pytest.fixture
def stored() -> MemoryLibrary:
    library = MemoryLibrary()
    texts = [
        "出張旅費の精算は翌月五日まで",
        "会議室の予約は総務へ",
        "年次有給休暇は二十日",
        "pump P-100 manual",
    ]
    for number, text in enumerate(texts):
        library.put("files", [arrival(f"{number}.md", text)], {1: EMBEDDER.passages([text])})
    secret = arrival("s.md", "出張旅費の特例", readers=["board"])
    library.put("files", [secret], {1: EMBEDDER.passages(["出張旅費の特例"])})
    return library


def test_every_passage_says_which_lanes_found_it_and_where(stored: MemoryLibrary) -> None:
    asked = {"index": MemorySearch(stored), "tokenizer": TOKENIZER, "embedder": EMBEDDER, "generation": 1}
    found = find("会議室の予約", SOMEONE, **asked, limit=4)  # type: ignore[arg-type]
    assert [(why.lane, why.rank) for why in found[0].why] == [("dense", 1), ("lexical", 1)]
    for lane in ("dense", "lexical"):
        alone = find("会議室の予約", SOMEONE, **asked, lanes=[lane])  # type: ignore[arg-type]
        assert [(w.lane, w.rank, w.score) for p in alone for w in p.why] == [
            (lane, rank, p.score) for rank, p in enumerate(alone, start=1)
        ]


@pytest.mark.parametrize("lanes", [("dense",), ("lexical",), ("dense", "lexical")])
def test_any_choice_of_lanes_finds_the_passage_and_no_secret(
    stored: MemoryLibrary, lanes: tuple[str, ...]
) -> None:
    found = find(
        "出張旅費の精算",
        SOMEONE,
        index=MemorySearch(stored),
        tokenizer=TOKENIZER,
        embedder=EMBEDDER,
        generation=1,
        limit=2,
        lanes=lanes,
    )
    assert 1 <= len(found) <= 2
    assert found[0].uri == "0.md"
    assert "s.md" not in [passage.uri for passage in found]


class WatchedSearch(MemorySearch):
    """Notes which lane it was asked for."""

    def nearest(
        self,
        who: Principal,
        vector: Vector,
        generation: int,
        limit: int,
        *,
        exact: bool,
        scope: Scope = EVERYTHING,
    ) -> list[Passage]:
        self.exact = exact
        return super().nearest(who, vector, generation, limit, exact=exact, scope=scope)


@pytest.mark.parametrize(("exact_limit", "exact"), [(4, True), (3, False)])
def test_the_exact_lane_is_left_when_more_is_visible_than_the_limit(
    stored: MemoryLibrary, exact_limit: int, exact: bool
) -> None:
    index = WatchedSearch(stored)
    find(
        "旅費",
        SOMEONE,
        index=index,
        tokenizer=TOKENIZER,
        embedder=EMBEDDER,
        generation=1,
        exact_limit=exact_limit,
    )
    assert index.exact is exact


def test_nobody_can_forget_to_say_who_asks() -> None:
    assert inspect.signature(find).parameters["who"].default is inspect.Parameter.empty
