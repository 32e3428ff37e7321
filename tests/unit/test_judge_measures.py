from __future__ import annotations

import math

import pytest
from judging import ABSTAINED, RIGHT, RIGHT_AND_CITED, WRONG, answer, passage, question

from kiban.domain.evidence import Arm
from kiban.judge.measures import contains, ndcg_at_10, overlap_f1, reciprocal_rank, score


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("年間12日です", "12日"),
        ("年間１２日です", "12日"),
        ("年間 12 日です", "12日"),
        ("上限は1,200円です", "1200円"),
        ("上限は１，２００円です", "1,200円"),
        ("Ten Days of leave", "ten days"),
        ("型番はＫＢ-100です", "KB-100"),
        ("請求は12.", "12"),
        ("第3条 12日", "12日"),
    ],
)
def test_a_value_is_found_whatever_its_width_case_spacing_and_separators(text: str, value: str) -> None:
    assert contains(text, value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("年間112日です", "12日"),
        ("年間1 12日", "1"),
        ("3.12日", "12日"),
        ("1,112円", "112円"),
        ("12.5%", "12"),
        ("KB-1000", "KB-100"),
        ("catalogue", "cat"),
        ("何日でも", "12日"),
        ("何か", ""),
    ],
)
def test_a_value_inside_a_longer_number_or_word_is_another_value(text: str, value: str) -> None:
    assert contains(text, value) is (text == "年間1 12日")


def test_an_answer_is_correct_when_it_says_the_gold_value_and_does_not_withhold_it() -> None:
    withheld = answer("資料に記載なし（12日かもしれません）", abstained=True)
    scores = [score(question(), Arm.BASE_RAG, given, 1.0).correct for given in (RIGHT, WRONG, withheld)]
    assert scores == [1.0, 0.0, 0.0]


def test_only_a_quotation_from_the_gold_document_that_holds_the_value_counts_as_citation() -> None:
    elsewhere = answer("12日", "有給休暇は12日とする。", document=2)
    beside = answer("12日", "有給休暇は別に定める。")
    given = (RIGHT_AND_CITED, elsewhere, beside, RIGHT)
    assert [score(question(), Arm.ADAPTED_RAG, each, 1.0).cited for each in given] == [1.0, 0.0, 0.0, 0.0]


def test_measures_that_do_not_apply_are_none_and_not_zero() -> None:
    assert score(question(), Arm.BASE, RIGHT, 1.0).cited is None
    unanswerable = score(question(""), Arm.ADAPTED_RAG, ABSTAINED, 1.0)
    assert (unanswerable.correct, unanswerable.cited, unanswerable.abstained) == (None, None, 1.0)
    assert score(question(), Arm.ADAPTED_RAG, ABSTAINED, 1.0).abstained is None


def test_overlap_counts_characters_in_japanese_and_words_in_english() -> None:
    assert overlap_f1("有給は12日", "有給は20日") == pytest.approx(2 * 5 / 12)  # 有給は日 and one 2 of six
    assert overlap_f1("the red pump", "the blue pump") == pytest.approx(4 / 6)
    assert overlap_f1("", "有給") == 0.0


def test_rank_measures_look_for_the_sentence_that_answers_in_the_gold_document() -> None:
    other, same_words = passage(2), passage(3, "有給休暇は12日とする。")
    overlapping = passage(1, "前文。有給休暇は12日とする。", chunk=101)
    ranking = [other, same_words, overlapping]
    assert reciprocal_rank(question(), ranking) == pytest.approx(1 / 3)
    assert ndcg_at_10(question(), ranking) == pytest.approx(1 / math.log2(4))
    assert ndcg_at_10(question(), [other] * 10 + [overlapping]) == 0.0
