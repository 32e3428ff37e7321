"""Passages become questions whose answers can be checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from adapting import ALL, Finder, Says, document, passage, questions, shelf
from hypothesis import given
from hypothesis import strategies as st

from kiban.adapt.facts import facts, sentences
from kiban.adapt.overlap import Overlap
from kiban.adapt.questions import decontaminate, make_questions, split, unanswerable
from kiban.adapt.writers import HighlightWriter, ModelWriter, TemplateWriter, prompt
from kiban.domain.access import Audience
from kiban.domain.learning import QuestionKind, Stage
from kiban.errors import MixedAudience


@pytest.mark.parametrize(
    ("sentence", "value", "question"),
    [
        ("葦原寮の寮費は月額11,900円とする。", "11,900円", "葦原寮の寮費は月額いくらですか。"),
        ("介護休業の申出は、16日前までに行う。", "16日", "介護休業の申出は、何日前までに行うのですか。"),
        ("書類の保存期間は3年6か月である。", "3年6か月", "書類の保存期間は何年何か月ですか。"),
        ("始業の時刻は午前8時35分とする。", "午前8時35分", "始業の時刻は何時何分ですか。"),
        ("遅れた者は、理由書FN-433を提出する。", "FN-433", "遅れた者は、理由書何番を提出しますか。"),
        ("対策本部長は、社長の霧沢透子が務める。", "霧沢透子", "対策本部長は、社長のだれが務めるのですか。"),
        ("複合機の名前は「MFP-03」です。", "MFP-03", "複合機の名前は何ですか。"),
        ("全社の出社日は毎週火曜日である。", "火曜日", "全社の出社日は毎週何曜日ですか。"),
        ("建屋の予算は、11億7千万円とする。", "11億7千万円", "建屋の予算は、いくらですか。"),
        ("装置の周期は120ミリ秒である。", "120ミリ秒", "装置の周期は何ミリ秒ですか。"),
        ("全角の点呼は、１３分以内に終える。", "１３分", "全角の点呼は、何分以内に終えるのですか。"),
        ("立替金は、17日以内に申請してください。", "17日", "立替金は、何日以内に申請すればよいですか。"),
        ("The rent of the flat is 640 euros.", "640 euros", "What is the rent of the flat?"),
        ("Access rights are reviewed every 15 weeks.", "15 weeks",
         "Access rights are reviewed every how many weeks?"),
        ("The lunch break lasts 7 hours and 25 minutes.", "7 hours and 25 minutes",
         "The lunch break lasts how many hours and how many minutes?"),
    ],
)  # fmt: skip
def test_a_template_asks_for_the_value_of_a_sentence(sentence: str, value: str, question: str) -> None:
    (fact,) = facts([passage(1, sentence)], per_document=1)
    assert (fact.value, TemplateWriter().write([fact], QuestionKind.QUESTION)) == (value, [question])


@pytest.mark.parametrize(
    "sentence",
    [
        "相談は何日前までに行いますか？",
        "文書番号: SR-110、改訂: 2026年4月1日。",
        "社員は誠実に働かなければならない。",
        "3,200円とする。",
        "装置の点検は1回とする。",
    ],
)
def test_what_states_no_checkable_value_is_left_out(sentence: str) -> None:
    assert facts([passage(1, sentence)], per_document=9) == []


def test_a_sentence_stands_within_one_line_and_ends_with_its_mark() -> None:
    text = "# 規程\n・寮費は千円とする。日当は2千円とする。\n半端な行\nCosts 3.5 euros. No more"
    found = [span.of(text) for span in sentences(text)]
    assert found == ["寮費は千円とする。", "日当は2千円とする。", "Costs 3.5 euros."]


def test_a_question_knows_where_its_quotation_stands_in_the_document() -> None:
    text = "前置きの文。\n葦原寮の寮費は月額11,900円とする。"
    chunk = passage(3, text, start=100)
    (question,), _ = make_questions([chunk], [document(3)], writer=TemplateWriter(), find=lambda _: [chunk])
    assert question.span.shifted(-100).of(text) == question.quote == "葦原寮の寮費は月額11,900円とする。"
    assert question.lineage.uri == "rules-3.md"
    assert question.gold in question.quote


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        ("", "unwritten"),
        ("いくら？", "too_short_or_long"),
        ("寮費が月額 12,100円 なのは本当ですか。", "gives_value_away"),
        ("この寮の門限は何時ですか。", "not_found_again"),
    ],
)
def test_the_sieve_counts_what_it_turns_away(written: str, rule: str) -> None:
    documents, passages = shelf()
    found, stage = make_questions(
        passages[:1], documents, writer=Says(written), find=lambda question: passages[1:]
    )
    assert found == ()
    assert stage == Stage("questions written", 1, 0, {rule: 1})


def test_the_sieve_keeps_one_of_two_equal_questions() -> None:
    documents, passages = shelf()
    _, stage = make_questions(
        passages[:2], documents, writer=Says("費用はいくらになりますか。"), find=lambda _: passages
    )
    assert stage == Stage("questions written", 2, 1, {"duplicate": 1})


def test_every_fact_is_kept_or_counted() -> None:
    documents, passages = shelf()
    found, stage = make_questions(passages, documents, writer=TemplateWriter(), find=Finder(passages[2:]))
    assert stage == Stage("questions written", 10, 8, {"not_found_again": 2})
    assert len(found) == 8


def test_two_questions_that_differ_in_a_sign_are_one_and_in_a_number_two() -> None:
    asked = Overlap(["第12条の届出は、いつまでに総務部へ出せばよいですか。"])
    assert asked.resembles("第１２条の届出は いつまでに総務部へ出せばよいですか？", 0.9)
    assert not asked.resembles("第13条の届出は、いつまでに総務部へ出せばよいですか。", 0.8)
    assert not asked.resembles("寮費は月額いくらですか。", 0.1)


def test_what_is_judged_by_is_not_learnt_even_from_another_document() -> None:
    learnt = questions()
    judged = [f"ところで、{learnt[0].text}", learnt[1].quote]
    kept, stage = decontaminate(learnt, {"frozen": judged, "elsewhere": ["天気はどうですか。"]})
    assert kept == learnt[2:]
    assert stage == Stage("decontaminated", 10, 8, {"in frozen": 2})


@pytest.mark.parametrize(
    ("kind", "japanese", "english"),
    [
        (QuestionKind.KEYWORD, "葦原寮 寮費 月額", "rent large flat"),
        (QuestionKind.CLAIM, "葦原寮の寮費は月額いくらか、決まりがある。",
         "It is laid down: the rent of the large flat is how much."),
        (QuestionKind.COLLOQUIAL, "葦原寮の寮費って月額いくらだっけ？",
         "Hey, what is the rent of the large flat, do you know?"),
    ],
)  # fmt: skip
def test_templates_look_for_a_fact_in_other_ways_too(kind: QuestionKind, japanese: str, english: str) -> None:
    told = [
        passage(1, "葦原寮の寮費は月額11,900円とする。"),
        passage(2, "The rent of the large flat is €640."),
    ]
    assert TemplateWriter().write(facts(told, per_document=1), kind) == [japanese, english]
    documents, passages = shelf()
    found, stage = make_questions(
        passages, documents, writer=TemplateWriter(), find=Finder(passages), kind=kind
    )
    assert len(found) == stage.kept == 10
    assert {(one.kind, one.author.name) for one in found} == {(kind, "templates 2")}


@pytest.mark.parametrize("readers", [frozenset({"hr"}), frozenset()])
def test_a_passage_that_not_everyone_may_read_is_refused(readers: frozenset[str]) -> None:
    documents, passages = shelf()
    documents[4] = document(5, Audience(readers))
    with pytest.raises(MixedAudience, match="rules-5"):
        make_questions(passages, documents, writer=TemplateWriter(), find=Finder(passages))


def test_a_passage_of_an_unknown_document_is_refused() -> None:
    documents, passages = shelf()
    with pytest.raises(MixedAudience, match="rules-10"):
        make_questions(passages, documents[:-1], writer=TemplateWriter(), find=Finder(passages))


@given(seed=st.integers(0, 10_000), share=st.floats(0, 1))
def test_no_document_is_both_learnt_from_and_judged_by(seed: int, share: float) -> None:
    asked = questions()
    learnt, held_out = split(asked, share, seed)
    assert {q.lineage.uri for q in learnt}.isdisjoint(q.lineage.uri for q in held_out)
    assert set(learnt) | set(held_out) == set(asked)


def test_a_document_stays_on_its_side_when_others_come_and_go() -> None:
    asked = questions()
    _, held_out = split(asked, 0.5, seed=3)
    _, later = split(asked[::2], 0.5, seed=3)
    assert held_out and set(later) == set(held_out) & set(asked[::2])


def test_the_first_questions_come_from_as_many_documents_as_possible() -> None:
    asked = [replace(question, text=f"{question.text}{n}") for question in questions() for n in range(9)]
    learnt, _ = split(asked, 0, seed=1, per_document=6)
    assert len({question.lineage.uri for question in learnt[:10]}) == 10
    assert len(learnt) == 60


def test_withholding_the_documents_makes_a_question_unanswerable() -> None:
    asked = questions()[0]
    (withheld,) = unanswerable([asked])
    assert (withheld.answerable, withheld.quote) == (False, "")
    assert (withheld.text, withheld.lineage, withheld.audience) == (asked.text, asked.lineage, ALL)


def test_newer_documents_are_all_held_out() -> None:
    asked = questions()
    newer = frozenset({"rules-3.md", "rules-4.md"})
    learnt, held_out = split(asked, 0.0, seed=1, newer=newer)
    assert {question.lineage.uri for question in held_out} == newer
    assert len(learnt) == 8


def test_a_model_writes_what_follows_the_shown_examples() -> None:
    (fact,) = facts([passage(1, "葦原寮の寮費は月額11,900円とする。")], per_document=1)
    seen: list[str] = []

    def complete(prompts: Sequence[str]) -> list[str]:
        seen.extend(prompts)
        return [" 葦原寮に住むといくらかかりますか。\n\nSection: next"]

    writer = ModelWriter("base 1a2b", complete)
    assert writer.write([fact], QuestionKind.QUESTION) == ["葦原寮に住むといくらかかりますか。"]
    assert seen == [prompt(fact, QuestionKind.QUESTION)]
    assert seen[0].endswith(f"Sentence: {fact.sentence}\nAnswer: 11,900円\nQuestion:")
    assert "dryer filter change interval" in prompt(fact, QuestionKind.KEYWORD)
    assert writer.author.name == "base 1a2b" and len(writer.author.prompt_sha256) == 64


def test_what_a_model_writes_that_is_no_question_is_turned_away() -> None:
    (fact,) = facts([passage(1, "葦原寮の寮費は月額11,900円とする。")], per_document=1)
    writer = ModelWriter("base", lambda prompts: ["11,900円です。"] * len(prompts))
    assert writer.write([fact], QuestionKind.QUESTION) == [""]
    assert writer.write([fact], QuestionKind.CLAIM) == ["11,900円です。"]  # the sieve sees the value in it


def test_a_sequence_to_sequence_model_sees_the_answer_marked_and_writes_questions_only() -> None:
    (fact,) = facts([passage(1, "葦原寮の寮費は月額11,900円とする。")], per_document=1)
    seen: list[str] = []

    def complete(prompts: Sequence[str]) -> list[str]:
        seen.extend(prompts)
        return ["寮費はいくらですか。"]

    writer = HighlightWriter("t5", complete)
    assert writer.write([fact], QuestionKind.QUESTION) == ["寮費はいくらですか。"]
    assert seen == ["generate question: 葦原寮の寮費は月額<hl> 11,900円 <hl>とする。"]
    assert writer.write([fact], QuestionKind.KEYWORD) == [""]
