"""What is read again moves, what is not read keeps its order, and nobody else's documents matter."""

from __future__ import annotations

import pytest

from kiban.domain.access import Principal
from kiban.domain.document import Place
from kiban.domain.question import Passage
from kiban.domain.text import Span
from kiban.retrieve.rerank import Reranking, reading_text, rerank
from kiban.retrieve.search import find
from kiban.testing import HashEmbedder, MemoryLibrary, MemorySearch, OverlapReranker, WordTokenizer, arrival

SOMEONE = Principal("someone", frozenset())


def passage(chunk_id: int, text: str, score: float) -> Passage:
    return Passage(chunk_id, 1, "a.md", "規程", 1, Place(heading="第2章"), Span(0, 1), text, text, score)


def test_a_passage_that_answers_better_moves_up() -> None:
    fused = [passage(1, "食堂の時間", 1.0), passage(2, "出張の精算は五日", 0.9)]
    reranked = rerank("出張の精算", fused, Reranking(OverlapReranker(), passages=2, weight=0.5))
    assert [one.chunk_id for one in reranked] == [2, 1]
    assert reranked[0].score == pytest.approx(0.95)


def test_only_the_budget_is_read_and_the_rest_keeps_its_order() -> None:
    reranker = OverlapReranker()
    fused = [passage(number, "出張" if number == 9 else "x", 1 - number / 10) for number in range(10)]
    reranked = rerank("出張", fused, Reranking(reranker, passages=3))
    assert [len(read) for read in reranker.read] == [3]
    assert [one.chunk_id for one in reranked] == list(range(10))


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_the_weight_is_the_rerankers_share(weight: float) -> None:
    fused = [passage(1, "x", 0.8), passage(2, "出張", 0.4)]
    reranked = rerank("出張", fused, Reranking(OverlapReranker(), passages=2, weight=weight))
    assert [one.score for one in reranked] == ([0.8, 0.4] if weight == 0 else [1.0, 0.0])


def test_it_reads_where_a_passage_stands() -> None:
    assert reading_text(passage(1, "五日", 0)) == "規程 › 第2章\n五日"


def test_what_may_not_be_read_is_neither_reranked_nor_changes_what_is() -> None:
    library, embedder, tokenizer = MemoryLibrary(), HashEmbedder(), WordTokenizer()

    def put(uri: str, *texts: str, readers: tuple[str, ...] = ("everyone",)) -> None:
        library.put("files", [arrival(uri, *texts, readers=readers)], {1: embedder.passages(texts)})

    def ask() -> tuple[list[Passage], list[tuple[str, ...]]]:
        reranker = OverlapReranker()
        found = find(
            "出張旅費の精算",
            SOMEONE,
            index=MemorySearch(library),
            tokenizer=tokenizer,
            embedder=embedder,
            generation=1,
            reranking=Reranking(reranker, passages=2),
        )
        return found, reranker.read

    put("a.md", "出張旅費の精算は翌月五日", "出張の宿泊費", "旅費の特例")
    before = ask()
    put("secret.md", *["出張旅費の精算"] * 20, readers=("board",))
    assert ask() == before
