"""Terms meet whichever way they are written."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from kiban.backends.sudachi import SudachiTokenizer, stem

TOKENIZER = SudachiTokenizer()


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("行なった", "行う"),
        ("ｶﾞｽｹｯﾄ", "ガスケット"),
        ("サーバ", "サーバー"),
        ("第六条", "第6条"),
        ("第６条", "第6条"),
        ("１２，０００円", "12000円"),
        ("ＬｏＲＡ", "lora"),
        ("打ち合せ", "打ち合わせ"),
        ("pumps", "pump"),
        ("policies", "policy"),
        ("boxes", "box"),
        ("services", "service"),
        ("stopped", "stop"),
        ("requesting", "requested"),
    ],
)
def test_two_ways_of_writing_have_the_same_terms(asked: str, written: str) -> None:
    assert TOKENIZER.terms(asked) == TOKENIZER.terms(written)


def test_particles_punctuation_and_english_function_words_are_dropped() -> None:
    assert TOKENIZER.terms("宿泊費は、いくらですか。") == ["宿泊", "費", "幾ら"]
    assert TOKENIZER.terms("What is the limit?") == ["limit"]


@pytest.mark.parametrize(
    ("text", "whole", "parts"),
    [
        ("PPR-9087型", "ppr-9087", {"ppr", "9087"}),
        ("ISO-9001の認証", "iso-9001", {"iso", "9001"}),
        ("3M_2018_10K", "3m_2018_10k", {"3", "m", "2018", "10", "k"}),
        ("版はv1.2.3です", "v1.2.3", {"v", "1", "2", "3"}),
    ],
)
def test_a_code_is_found_whole_and_by_its_parts(text: str, whole: str, parts: set[str]) -> None:
    terms = TOKENIZER.terms(text)
    assert whole in terms
    assert parts <= set(terms)


def test_an_article_is_found_whole() -> None:
    assert TOKENIZER.terms("第6条 宿泊費") == ["第", "6", "条", "第6条", "宿泊", "費"]


def test_numbers_stay_whole() -> None:
    assert TOKENIZER.terms("3.5時間") == ["3.5", "時間"]


def test_text_longer_than_sudachi_takes_is_cut_without_losing_terms() -> None:
    line = "宿泊費の上限を定める。\n"
    assert TOKENIZER.terms(line * 5000) == TOKENIZER.terms(line) * 5000


def test_kanji_beyond_the_dictionary_are_kept() -> None:
    assert set("".join(TOKENIZER.terms("𠮟" * 30_000))) == {"𠮟"}


def test_threads_share_a_tokenizer() -> None:
    text = "出張者は旅費を精算する。" * 50
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(TOKENIZER.terms, [text] * 16))
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("word", ["gas", "bus", "class", "analysis", "ring", "red", "this", "king"])
def test_stemming_leaves_what_might_be_the_words_own(word: str) -> None:
    assert stem(word) == word
