from __future__ import annotations

import pytest
from answering import HOTEL, RAIL, USB, passage
from hypothesis import given
from hypothesis import strategies as st

from kiban.answer.cite import LONGEST_QUOTE, StreamVerifier, verify
from kiban.domain.text import normal_form

SHOWN = (HOTEL, USB, RAIL)


def test_a_verbatim_quotation_becomes_a_citation_in_the_documents_own_characters() -> None:
    verified = verify("13,800円です。「東京23区内に限り13,800円を上限とする。」[1]", SHOWN)
    [citation] = verified.citations
    assert citation.quote == "東京２３区内に限り\n１３,８００円を上限とする。"
    assert citation.span.start == 100 + HOTEL.original.index("東京")
    assert verified.text == f"13,800円です。「{citation.quote}」[1]"
    assert verified.refused_quotes == 0


@pytest.mark.parametrize(
    ("words", "original"),
    [
        ("USBメモリの貸出しは1申請、2許可", "ＵＳＢﾒﾓﾘの貸出しは①申請、②許可"),
        ("メモリの貸出し", "ﾒﾓﾘの貸出し"),
        ("紛失時は(株)ニチリン", "紛失時は㈱ニチリン"),
        ("株)ニチリンの内線", "㈱ニチリンの内線"),  # begins within one character of the original
    ],
)
def test_width_kana_circled_digits_and_ligatures_are_compared_in_normal_form(
    words: str, original: str
) -> None:
    [citation] = verify(f"「{words}」[2]", SHOWN).citations
    assert citation.quote == original


@pytest.mark.parametrize("number", ["[2]", "［２］", "【2】", "[②]", " [2]", "[2, 1]", "[ 2 ]"])
def test_the_number_may_be_written_in_many_ways(number: str) -> None:
    [citation] = verify(f"「貸出しは①申請」{number}", SHOWN).citations
    assert citation.number == 2


@pytest.mark.parametrize("marks", ["「」", "『』", "“”", '""'])
def test_every_kind_of_quotation_mark_is_understood(marks: str) -> None:
    verified = verify(f"Yes. {marks[0]}may be booked in first class.{marks[1]}[3]", SHOWN)
    assert verified.text == f"Yes. {marks[0]}may be booked in first class.{marks[1]}[3]"
    assert len(verified.citations) == 1


def test_words_that_are_not_verbatim_lose_their_marks_and_their_number() -> None:
    verified = verify("はい。「東京23区内に限り15,000円を上限とする。」[1]", SHOWN)
    assert verified.text == "はい。東京23区内に限り15,000円を上限とする。"
    assert verified.citations == ()
    assert verified.refused_quotes == 1


@pytest.mark.parametrize("number", ["[1]", "[9]", "[3]"])
def test_a_wrong_number_is_corrected_to_the_passage_that_holds_the_words(number: str) -> None:
    assert verify(f"「紛失時は㈱ニチリンの内線7119へ。」{number}", SHOWN).text.endswith("」[2]")


def test_the_passage_that_was_named_is_preferred_when_several_hold_the_words() -> None:
    twins = (passage("申請は総務部へ行う。", 1), passage("申請は総務部へ行う。", 2))
    [citation] = verify("「申請は総務部へ行う。」[2]", twins).citations
    assert citation.passage is twins[1]


def test_a_quoted_sentence_without_a_number_is_held_to_the_same_rule() -> None:
    assert verify("「国内出張の宿泊費は11,000円を上限とする。」", SHOWN).text.endswith("。」[1]")
    invented = verify("「国内出張の宿泊費は99,000円を上限とする。」", SHOWN)
    assert invented.text == "国内出張の宿泊費は99,000円を上限とする。"
    assert invented.refused_quotes == 1


def test_a_quoted_term_without_a_number_stays_as_written() -> None:
    assert verify("「日当」とは別です。", SHOWN).text == "「日当」とは別です。"


@pytest.mark.parametrize("bare", ["13,800円[1]です。", "13,800円【１】です。", "13,800円[1, 2]です。"])
def test_a_bare_number_is_taken_away(bare: str) -> None:
    assert verify(bare, SHOWN).text == "13,800円です。"


@pytest.mark.parametrize(
    "text", ["[2026年度]の規程", "配列[index]です", "[2026]", '24" monitors and 27" ones']
)
def test_other_brackets_and_inch_marks_stay(text: str) -> None:
    assert verify(text, SHOWN).text == text


def test_a_quotation_of_a_few_letters_proves_nothing() -> None:
    verified = verify("「貸出」[2]", SHOWN)
    assert (verified.text, verified.refused_quotes) == ("貸出", 1)


def test_a_number_inside_words_that_were_not_proven_goes_too() -> None:
    assert verify("「出張[1]は自由です。」[1]", SHOWN).text == "出張は自由です。"


def test_nested_marks_close_where_they_should() -> None:
    rule = passage("様式「出張届」を提出する。", 1)
    assert verify("「様式「出張届」を提出する。」[1]", [rule]).text == "「様式「出張届」を提出する。」[1]"


def test_a_full_stop_before_the_number_is_moved_behind_it() -> None:
    assert verify("「貸出しは①申請」。[2]", SHOWN).text == "「貸出しは①申請」[2]。"


def test_text_outside_quotations_flows_at_once_and_quotations_wait_for_their_number() -> None:
    verifier = StreamVerifier(SHOWN)
    assert verifier.feed("13,800円です。") == "13,800円です。"
    assert verifier.feed("「国内出張の宿泊費は") == ""
    assert verifier.feed("11,000円を上限とする。」") == ""
    assert verifier.feed("[1") == ""
    assert verifier.feed("]以上") == "「国内出張の宿泊費は11,000円を上限とする。」[1]以上"
    assert verifier.finish() == ""


def test_a_quotation_longer_than_any_is_plain_text_however_it_arrives() -> None:
    endless = "あ" * (LONGEST_QUOTE + 1)
    verifier = StreamVerifier([passage(endless)])
    assert verifier.feed("「") == ""
    assert verifier.feed(endless) == "「" + endless
    assert verify(f"「{endless}」[1]", [passage(endless)]).citations == ()


ORIGINALS = st.text(alphabet='あア亜ｶﾞﾊﾟＡa１1①㈱ﬁé\u0301\u3099　 \n「」『』"[]', min_size=4, max_size=40)
ANSWERS = st.lists(
    st.one_of(ORIGINALS, st.sampled_from(["「", "」", '"', "[1]", "［２］", "。", "[", "「あア亜」[1]"])),
    max_size=8,
).map("".join)


@given(ORIGINALS, ORIGINALS, ANSWERS, st.data())
def test_every_citation_is_verbatim_whatever_the_model_writes(
    first: str, second: str, answer: str, data: st.DataObject
) -> None:
    shown = (passage(first, 1, starts=7), passage(second, 2))
    start = data.draw(st.integers(0, len(first) - 1))
    verified = verify(f"{answer}「{normal_form(first[start:]).text}」[1]", shown)
    for citation in verified.citations:
        assert citation.quote in citation.passage.original
        assert (
            citation.span.shifted(-citation.passage.span.start).of(citation.passage.original)
            == citation.quote
        )
        assert citation.quote in verified.text
        assert shown[citation.number - 1] is citation.passage


def test_a_line_may_break_between_a_half_width_letter_and_its_mark() -> None:
    verified = verify("『1ガ11』[1]", [passage("①ｶ\nﾞ①①①①")])
    assert [citation.quote for citation in verified.citations] == ["①ｶ\nﾞ①①"]


@given(st.text(alphabet="あア亜ｶﾞﾊﾟＡ１①㈱ﬁ　\n", min_size=8, max_size=40), st.data())
def test_any_quotation_that_is_verbatim_up_to_width_and_space_is_accepted(
    text: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    words = "".join(normal_form(text[start:end]).text.split())
    verified = verify(f"『{words}』[1]", [passage(text)])
    bare = normal_form("".join(words.split())).text
    whole_pieces = bare in normal_form("".join(text.split())).text  # a cut may separate ﾊ from ﾟ
    if len(bare) >= 4 and whole_pieces:
        assert [citation.number for citation in verified.citations] == [1]


@given(ANSWERS, st.lists(st.integers(1, 5), min_size=1))
def test_the_same_text_comes_out_however_the_answer_is_cut(answer: str, cuts: list[int]) -> None:
    shown = (passage("あア亜ｶﾞﾊﾟＡ", 1), USB)
    verifier, text, rest = StreamVerifier(shown), "", answer
    for cut in cuts * len(answer):
        text, rest = text + verifier.feed(rest[:cut]), rest[cut:]
    text += verifier.feed(rest) + verifier.finish()
    whole = verify(answer, shown)
    assert (text, tuple(verifier.citations)) == (whole.text, whole.citations)
    assert verifier.refused_quotes == whole.refused_quotes
