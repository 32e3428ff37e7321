from __future__ import annotations

import asyncio

import pytest
from judging import RIGHT, RIGHT_AND_CITED, question

from kiban.domain.evidence import Arm
from kiban.domain.learning import Question
from kiban.domain.question import Answer
from kiban.errors import PartUnavailable
from kiban.judge.arms import evaluate

QUESTIONS = [question(document=n, text=f"問{n}") for n in range(6)]


class Desk:
    """Answers, and remembers how it was asked."""

    def __init__(self, given: Answer = RIGHT, failures: int = 0) -> None:
        self.given, self.failures = given, failures
        self.asked: list[Question] = []
        self.open = self.most_open = 0

    async def __call__(self, asked: Question) -> Answer:
        self.asked.append(asked)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        await asyncio.sleep(0.002)
        self.open -= 1
        if self.failures:
            self.failures -= 1
            raise PartUnavailable("vLLM")
        return self.given


async def test_every_question_is_asked_once_in_every_arm_and_scored() -> None:
    desks = {Arm.BASE_RAG: Desk(), Arm.ADAPTED_RAG: Desk(RIGHT_AND_CITED)}
    seen: list[tuple[int, int]] = []
    scored = await evaluate(QUESTIONS, desks, progress=lambda done, total, what: seen.append((done, total)))
    assert {(each.question, each.arm) for each in scored} == {(q, arm) for q in QUESTIONS for arm in desks}
    assert [len(desk.asked) for desk in desks.values()] == [6, 6]
    assert seen == [(done, 12) for done in range(1, 13)]
    assert all(each.seconds >= 0.002 for each in scored)


async def test_arms_run_side_by_side_and_never_more_calls_than_allowed() -> None:
    one = Desk()
    await evaluate(QUESTIONS, {Arm.BASE: one, Arm.ADAPTED: one}, concurrency=3)
    assert one.most_open == 3


async def test_arms_take_turns_at_being_first() -> None:
    scored = await evaluate(QUESTIONS, {Arm.BASE: Desk(), Arm.ADAPTED: Desk()})
    assert [each.arm for each in scored[::2]] == [Arm.BASE, Arm.ADAPTED] * 3


async def test_a_call_that_fails_once_is_tried_again() -> None:
    desk = Desk(failures=1)
    assert len(await evaluate(QUESTIONS, {Arm.BASE: desk})) == 6
    assert len(desk.asked) == 7


async def test_a_part_that_stays_away_stops_the_judgement_under_its_own_name() -> None:
    with pytest.raises(PartUnavailable, match="vLLM"):
        await evaluate(QUESTIONS, {Arm.BASE: Desk(), Arm.ADAPTED: Desk(failures=100)}, concurrency=2)
