from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from adapting import document, passage, shelf

from kiban.adapt.feedback import Admission, lessons, prove
from kiban.domain.access import Audience
from kiban.domain.feedback import Decision, Evidence, Feedback, Rating
from kiban.domain.text import Span
from kiban.errors import NotVerbatim

NOW = datetime(2026, 11, 25, tzinfo=UTC)
QUOTE = "寮費は月額12,100円とする。"


def vouched(*curators: str, approves: bool = True) -> tuple[Decision, ...]:
    return tuple(Decision(curator, NOW, approves) for curator in curators)


def given(number: int = 1, author: str = "sato", about: int = 1, quote: str = QUOTE) -> Feedback:
    correction = quote.removesuffix("とする。").rpartition("月額")[2]
    return Feedback(
        number, NOW + timedelta(minutes=number), author, Rating.DOWN, f"寮費はいくら（{number}）。", "千円",
        "r1", correction, "", Evidence(about, 1, Span(0, len(quote)), quote), vouched("mori", "kato"),
    )  # fmt: skip


def admit(*feedback: Feedback, examples: int = 64) -> tuple[int, Admission]:
    documents, passages = shelf()
    taught, admission = lessons(feedback, {one.id: one for one in documents}, passages, examples=examples)
    return len(taught), admission


def test_an_approved_correction_becomes_a_question_with_lineage() -> None:
    documents, passages = shelf()
    (question,), admission = lessons([given()], {one.id: one for one in documents}, passages, examples=64)
    assert (question.gold, question.quote, question.chunk_id) == ("12,100円", QUOTE, 1)
    assert question.lineage.uri == "rules-1.md" and question.audience.is_everyone
    assert admission == Admission(given=1, admitted=1)


@pytest.mark.parametrize(
    ("decisions", "rule"),
    [
        ((), "not_approved"),
        (vouched("mori"), "not_approved"),
        (vouched("mori", "sato"), "not_approved"),  # the author's own word does not count
        (vouched("mori", "kato") + vouched("ueda", approves=False), "not_approved"),
    ],
)
def test_nothing_is_learnt_on_too_few_words(decisions: tuple[Decision, ...], rule: str) -> None:
    admitted, admission = admit(replace(given(), decisions=decisions))
    assert (admitted, getattr(admission, rule)) == (0, 1)


def test_thumbs_teach_nothing_however_many() -> None:
    thumbs = [replace(given(number), evidence=None) for number in range(500)]
    assert admit(*thumbs) == (0, Admission(given=500, only_a_thumb=500))


def test_a_document_that_changed_or_is_not_for_everyone_teaches_nothing() -> None:
    documents, passages = shelf()
    hr = Audience(frozenset({"hr"}))
    newer = {1: replace(documents[0], version=2)}
    assert lessons([given()], newer, passages, examples=9)[1].outdated == 1
    assert lessons([given()], {1: documents[0]}, [passage(1, "改められた。")], examples=9)[1].outdated == 1
    assert lessons([given()], {1: document(1, hr)}, passages, examples=9)[1].not_of_the_zone == 1
    assert lessons([given()], {}, passages, examples=9)[1].not_of_the_zone == 1


def test_one_author_gives_one_in_a_hundred_examples_at_most() -> None:
    _, passages = shelf()
    flood = [given(n, about=n % 10 + 1, quote=passages[n % 10].original) for n in range(250)]
    assert admit(*flood, examples=500)[0] == 5
    assert admit(*flood, examples=64)[0] == 1


def test_one_document_gives_one_in_a_hundred_examples_at_most() -> None:
    crowd = [given(number, author=f"person-{number}") for number in range(250)]
    admitted, admission = admit(*crowd, examples=300)
    assert (admitted, admission.over_share) == (3, 247)


def test_all_feedback_together_gives_one_in_five_examples_at_most() -> None:
    documents, passages = [], []
    for number in range(1, 201):
        documents.append(document(number))
        passages.append(passage(number, f"項目{number}は月額{number}00円とする。"))
    crowd = [given(n, f"person-{n}", n, passages[n - 1].original) for n in range(1, 201)]
    taught, admission = lessons(crowd, {one.id: one for one in documents}, passages, examples=400)
    assert (len(taught), admission.over_share) == (100, 100)


def test_a_correction_that_its_own_quotation_does_not_hold_teaches_nothing() -> None:
    assert admit(replace(given(), correction="無制限"))[1].unproven == 1
    assert admit(replace(given(), correction="１２，１００ 円"))[0] == 1
    assert admit(replace(given(), correction=""))[0] == 1


def test_evidence_is_found_where_it_stands_or_refused() -> None:
    told = replace(given(), evidence=Evidence(1, 0, Span(0, 0), "月額12,100円"))
    proven = prove(told, [passage(1, QUOTE, start=40)])
    assert proven.evidence == Evidence(1, 1, Span(43, 52), "月額12,100円")
    with pytest.raises(NotVerbatim):
        prove(told, [passage(1, "寮費は月額12,200円とする。")])
    thumb = replace(given(), evidence=None)
    assert prove(thumb, []) == thumb
