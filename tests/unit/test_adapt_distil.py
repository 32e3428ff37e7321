"""A teacher's answer is learnt only where it does what the target does, and goes when its own sources go."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from adapting import curriculum

from kiban.adapt import card, distil
from kiban.domain.learning import Author, Lineage, TrainingExample, Weights
from kiban.judge.measures import contains

LARGE = Author("large", "f" * 64)
TEACHER = distil.Teacher(LARGE, lambda text: "ありません" in text, contains)


def cites(example: TrainingExample) -> bool:
    return "[" in example.target


def one(*, citing: bool) -> TrainingExample:
    return next(each for each in distil.asked(curriculum()) if cites(each) is citing)


def better(example: TrainingExample) -> str:
    """Say what the target says, in other words and with half of the quotation."""
    number = example.target.rpartition("[")[2]
    question = example.question
    return f"資料によれば{question.gold}です。「{question.quote[question.quote.find('月額') :]}」[{number}"


def test_what_is_proven_becomes_the_target_with_its_author() -> None:
    written = curriculum()
    answers = [better(each) if cites(each) else "資料にはありません。" for each in distil.asked(written)]
    learnt, stage = distil.distil(written, answers, TEACHER)
    assert stage.kept == stage.given == len(answers) and not stage.turned_away
    assert [each.target for each in distil.asked(learnt)] == answers
    assert {each.teacher for each in learnt.examples if each.lineage} == {LARGE}
    assert {each.teacher for each in learnt.examples if not each.lineage} <= {Author()}
    assert learnt.sha256 != written.sha256 and learnt.pairs == written.pairs
    note = card.write("kiban-adapter", learnt, Weights(Path("adapter"), "0" * 64))
    assert f"Of the targets, {len(answers)} are in the words of a teacher." in note


def test_a_curriculum_without_a_teacher_keeps_its_name() -> None:
    written = curriculum()
    learnt, _ = distil.distil(written, [""] * len(distil.asked(written)), TEACHER)
    assert learnt.sha256 == written.sha256


@pytest.mark.parametrize(
    ("made", "rule"),
    [
        (lambda each: "", "empty"),
        (lambda each: better(each) + "それから" * 100, "too_long"),
        (lambda each: "資料にはありません。", "abstains"),
        (lambda each: "よく分かりません。", "without_the_value"),
        (lambda each: f"{each.question.gold}です。", "not_proven"),
        (lambda each: better(each).replace("月額", "毎月"), "not_proven"),  # not letter by letter
        (lambda each: better(each)[: -len("1]")] + "9]", "not_proven"),
    ],
)
def test_what_is_not_proven_keeps_the_target(made: object, rule: str) -> None:
    example = one(citing=True)
    assert distil.why_not(example, made(example), TEACHER) == rule  # type: ignore[operator]


def test_an_answer_where_nothing_shown_answers_is_not_learnt() -> None:
    example = one(citing=False)
    assert distil.why_not(example, f"{example.question.gold}です。", TEACHER) == "does_not_abstain"
    assert distil.why_not(example, "資料にはありません。", TEACHER) == ""


def test_a_secret_in_an_answer_is_not_learnt() -> None:
    example = one(citing=True)
    finds = replace(TEACHER, sensitive=lambda text: (object(),) if "よれば" in text else ())  # type: ignore[arg-type, return-value]
    assert distil.why_not(example, better(example), finds) == "not_clean"


def test_what_a_teacher_has_learnt_from_is_learnt_from() -> None:
    before = Lineage(99, "old.md", 1, "9" * 64)
    written = curriculum()
    answers = [better(each) if cites(each) else "" for each in distil.asked(written)]
    learnt, stage = distil.distil(written, answers, replace(TEACHER, lineage=(before,)))
    assert before in learnt.lineage and before not in written.lineage
    assert stage.turned_away == {"empty": sum(not cites(each) for each in distil.asked(written))}
    assert all((before in each.lineage) is cites(each) for each in distil.asked(learnt))
