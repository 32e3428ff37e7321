"""Chunks keep sentences whole, stay within one place, and say exactly what the document says."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.domain.document import ParsedDocument, Place, Section
from kiban.domain.text import Span
from kiban.ingest.chunking import MAX, TARGET, cut, cut_text, embedding_text, sentences, size
from kiban.testing import WordTokenizer

TOKENIZER = WordTokenizer()
TEXTS = st.text(
    st.sampled_from("旅費規程をは、。！？「」（）ABCab 12.3,!?\n　ｶﾞ①e\u0301𠮟が"), max_size=1500
) | st.text(max_size=300)
DOCUMENTS = st.builds(
    ParsedDocument,
    st.text(max_size=20),
    st.lists(
        st.builds(Section, TEXTS, st.builds(Place, page=st.integers(1, 9), heading=st.text(max_size=9))),
        max_size=4,
    ).map(tuple),
)


def _sentences(text: str) -> list[str]:
    return [span.of(text) for span in sentences(text)]


@given(DOCUMENTS)
def test_every_chunk_is_verbatim_and_none_is_too_large(document: ParsedDocument) -> None:
    chunks = cut(document, TOKENIZER)
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    for chunk in chunks:
        assert chunk.original == chunk.span.of(document.text)
        assert chunk.original == chunk.original.strip() != ""
        assert size(chunk.original) <= MAX + 0.4 * chunk.original.count("\n") + 1e-6
    for one, other in pairwise(chunks):
        assert one.span.end <= other.span.start


@given(DOCUMENTS)
def test_nothing_but_white_space_is_left_out(document: ParsedDocument) -> None:
    kept = "".join(chunk.original for chunk in cut(document, TOKENIZER))
    assert "".join(kept.split()) == "".join("".join(section.text for section in document.sections).split())


@given(DOCUMENTS)
def test_a_chunk_lies_within_one_section(document: ParsedDocument) -> None:
    start = 0
    bounds = []
    for section in document.sections:
        bounds.append((Span(start, start + len(section.text)), section.place))
        start += len(section.text) + 2
    for chunk in cut(document, TOKENIZER):
        assert any(
            bound.start <= chunk.span.start and chunk.span.end <= bound.end and place == chunk.place
            for bound, place in bounds
        )


@given(st.lists(st.integers(5, 120), min_size=1, max_size=40))
def test_a_sentence_that_fits_is_never_cut(lengths: list[int]) -> None:
    text = "".join("あ" * (length - 1) + "。" for length in lengths)
    for span in cut_text(text):
        assert span.of(text).endswith("。")


def test_long_prose_is_cut_evenly() -> None:
    text = "旅費は出張の実態に応じて実費を支給し、領収書を添えて精算する。" * 60
    sizes = [size(span.of(text)) for span in cut_text(text)]
    assert all(TARGET * 0.7 <= length <= MAX for length in sizes)


def test_rows_of_a_table_are_kept_whole() -> None:
    rows = [f"型番: PPR-{number}、備考: 在庫あり。毎月点検。、周期: {number}日" for number in range(100)]
    text = "\n".join(rows)
    kept = [line for span in cut_text(text) for line in span.of(text).split("\n")]
    assert kept == rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("終わる。始まる。", ["終わる。", "始まる。"]),
        ("「はい。」と答えた。次へ。", ["「はい。」と答えた。", "次へ。"]),
        ("旅費（ただし、日当を除く。）とする。以上", ["旅費（ただし、日当を除く。）とする。", "以上"]),
        ("本当？！はい。", ["本当？！", "はい。"]),
        ("値は３．１である．次．", ["値は３．１である．", "次．"]),
        ("Dr. Sato paid 3.5 yen. See Fig. 2, e.g. here. Done!", None),
        ("Version 1.2.3 is out. Use it.", ["Version 1.2.3 is out.", "Use it."]),
        ('He said "Stop." Then left.', ['He said "Stop."', "Then left."]),
        ("閉じない（括弧。", ["閉じない（括弧。"]),
    ],
)
def test_sentences_end_where_a_reader_says_they_end(text: str, expected: list[str] | None) -> None:
    assert _sentences(text) == (expected or ["Dr. Sato paid 3.5 yen.", "See Fig. 2, e.g. here.", "Done!"])


def test_a_sentence_above_the_limit_is_cut_at_a_comma() -> None:
    text = "、".join(["条件を満たす者であって所属長が認めた者"] * 40) + "に支給する。"
    spans = cut_text(text)
    assert len(spans) > 1
    assert all(span.of(text).endswith("、") for span in spans[:-1])


def test_terms_and_embedding_know_the_title_and_the_heading() -> None:
    place = Place(heading="第2章 旅費 > 第6条 宿泊費")
    [chunk] = cut(ParsedDocument("旅費規程", (Section("上限は１２,０００円。", place),)), TOKENIZER)
    assert {"規程", "宿泊", "上限"} <= set(chunk.terms)
    assert chunk.original == "上限は１２,０００円。"
    assert embedding_text("旅費規程", chunk) == "旅費規程 › 第2章 旅費 › 第6条 宿泊費\n上限は12,000円。"
