from __future__ import annotations

from dataclasses import replace

import pytest
from judging import scored_arms

from kiban.domain.evidence import Arm, Outcome, Scored
from kiban.judge.economy import Prices, costs
from kiban.judge.recommendation import recommend
from kiban.judge.verdict import decide

PLAIN = {"cited": 0.10, "right": 0.45, "over": 0.03, "abstained": 0.20}
TAUGHT = {"cited": 0.90, "right": 0.05, "over": 0.0, "abstained": 0.90}


def timed(old: float, new: float) -> list[Scored]:
    seconds = {Arm.BASE_RAG: old, Arm.ADAPTED_RAG: new}
    return [replace(each, seconds=seconds[each.arm]) for each in scored_arms(PLAIN, TAUGHT)]


def test_an_arm_that_takes_twice_as_long_bears_twice_as_much_of_the_machine() -> None:
    base, adapted = costs(timed(1.0, 2.0), 60.0, Prices())
    assert (base.median, adapted.slow) == (1.0, 2.0)
    assert base.machine_seconds == pytest.approx(60 / 3 / 40 * 1000)
    assert adapted.machine_seconds == pytest.approx(2 * base.machine_seconds)
    assert base.price is None


def test_a_price_is_told_only_when_one_was_given_and_counts_every_machine() -> None:
    base, _ = costs(timed(1.0, 1.0), 80.0, Prices(machine_hour=180.0, machines=2))
    assert base.machine_seconds == pytest.approx(2000)
    assert base.price == pytest.approx(100)


def test_what_another_house_wrote_costs_this_machine_nothing() -> None:
    scored = timed(1.0, 2.0)
    scored += [replace(each, arm=Arm.HOSTED) for each in scored if each.arm is Arm.BASE_RAG]
    base, _, hosted = costs(scored, 60.0, Prices(machine_hour=1.0))
    assert hosted.machine_seconds is None and hosted.price is None
    assert base.machine_seconds == pytest.approx(500)


def test_a_measure_is_told_of_once_and_at_its_worst() -> None:
    for adapted in (TAUGHT, PLAIN, dict.fromkeys(PLAIN, 0.0)):
        advice = recommend(decide("c", scored_arms(PLAIN, adapted)))
        told = [c.measure for c in (*advice.worse, *advice.better, *advice.held, *advice.unknown)]
        assert len(told) == len(set(told))
        assert set(told) == {"correct", "cited", "abstained", "over_abstained", "seconds"}


def test_an_undecided_verdict_says_what_deciding_takes_and_a_decided_one_does_not() -> None:
    few = decide("c", scored_arms(PLAIN, TAUGHT, answerable=8, unanswerable=0), seconds=80)
    assert few.outcome is Outcome.CANNOT_TELL
    assert "more questions" in recommend(few).next[0].english
    passed = decide("c", scored_arms(PLAIN, TAUGHT), seconds=80)
    assert "more questions" not in " ".join(step.english for step in recommend(passed).next)
