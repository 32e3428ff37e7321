"""Each kind of drift is planted, and exactly that one is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from judging import ABSTAINED, WRONG, answer, passage, question

from kiban.backends.nights import NightShelf
from kiban.domain.drift import Drift, Frozen, FrozenExam, Night
from kiban.domain.question import Answer, Passage
from kiban.judge import drift, drift_page, measures

AT = datetime(2026, 11, 25, 1, 30, tzinfo=UTC)
RIGHT = [answer("12日です。", "有給休暇は12日とする。", document) for document in range(12)]


def frozen(number: int) -> Frozen:
    """Return a question that was answered rightly from its own passage, every fourth one by abstaining."""
    document = number % 12
    asked = question("" if number % 4 == 3 else "12日", document, text=f"問{number}")
    shown = (passage(document), passage(90 + document, "別の話。"))
    given = RIGHT[document] if asked.answerable else ABSTAINED
    return Frozen(asked, shown, given, drift.scores(asked, given))


EXAM = FrozenExam("release", AT, tuple(frozen(number) for number in range(36)))
SAME = [each.answer for each in EXAM.questions]
FOUND = [each.passages for each in EXAM.questions]


def tonight(
    answers: Sequence[Answer] = SAME,
    rankings: Sequence[Sequence[Passage]] = FOUND,
    exam: FrozenExam = EXAM,
) -> Night:
    return drift.night(exam, answers, rankings, at=AT)


def test_a_night_on_which_nothing_changed_raises_no_alarm() -> None:
    night = tonight()
    assert night.drifts == ()
    assert {shift.drift for shift in night.shifts} == set(Drift)
    assert all((shift.old, shift.changed) == (shift.new, 0) for shift in night.shifts)


def test_other_answers_from_the_same_passages_are_drift_of_the_model() -> None:
    night = tonight(answers=[WRONG if n < 24 else each for n, each in enumerate(SAME)])
    assert night.drifts == (Drift.MODEL,)


def test_other_passages_for_the_same_questions_are_drift_of_the_retrieval() -> None:
    night = tonight(rankings=[tuple(reversed(found)) for found in FOUND])
    assert night.drifts == (Drift.RETRIEVAL,)
    (shift,) = [shift for shift in night.shifts if shift.drift is Drift.RETRIEVAL]
    assert (shift.old, shift.new, shift.changed) == (1.0, 0.5, 27)


def test_another_score_of_a_single_frozen_answer_is_drift_of_the_judge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strict, spared = measures.is_correct, EXAM.questions[5].question
    monkeypatch.setattr(measures, "is_correct", lambda asked, given: asked == spared or strict(asked, given))
    wrong = replace(
        EXAM.questions[5], answer=WRONG, scores={"correct": 0.0, "cited": 0.0, "over_abstained": 0}
    )
    exam = replace(EXAM, questions=(*EXAM.questions[:5], wrong, *EXAM.questions[6:]))
    night = tonight(answers=[each.answer for each in exam.questions], exam=exam)
    assert night.drifts == (Drift.JUDGE,)
    assert [shift.measure for shift in night.shifts if shift.alarm] == ["correct"]


def test_a_stricter_judge_is_not_taken_for_a_worse_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "is_cited", lambda asked, given: False)
    assert tonight().drifts == (Drift.JUDGE,)


def test_all_three_at_once_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "is_cited", lambda asked, given: False)
    night = tonight([WRONG] * 36, [tuple(reversed(found)) for found in FOUND])
    assert night.drifts == tuple(Drift)


def test_a_few_answers_that_flicker_are_no_drift() -> None:
    assert tonight(answers=[WRONG if n in (4, 17) else each for n, each in enumerate(SAME)]).drifts == ()


def test_what_is_kept_comes_back_as_it_was(tmp_path: Path) -> None:
    shelf, night = NightShelf(tmp_path / "nights"), tonight(answers=[WRONG] * 36)
    assert (shelf.questions(), shelf.exam("release"), shelf.nights()) == ((), None, [])
    asked = tuple(each.question for each in EXAM.questions)
    shelf.keep_questions(asked)
    shelf.keep_exam(EXAM)
    shelf.keep_night(night)
    shelf.keep_night(tonight())
    assert (shelf.questions(), shelf.exam("release")) == (asked, EXAM)
    assert shelf.nights() == [night, tonight()]
    shelf.forget()
    assert (shelf.questions(), shelf.exam("release"), len(shelf.nights())) == ((), None, 2)


def test_the_page_says_first_what_drifted_and_asks_for_nothing_from_elsewhere() -> None:
    calm, alarm = drift_page.render([tonight()]), drift_page.render([tonight(), tonight([WRONG] * 36)])
    assert "異常はありません" in calm
    assert "異常があります" in alarm
    assert "model: Correct answers 100% → 0% on 27 questions" in alarm
    assert alarm.count("<svg") == 3
    assert "http" not in alarm
