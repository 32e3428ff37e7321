from __future__ import annotations

import numpy as np
import pytest

from kiban.domain.evidence import Outcome
from kiban.judge.watch import MARGINS, Seen, guards, outcome, sequence, told


def seen(count: int, people: int, *, failing: float = 0.0, seconds: float = 1.0, seed: int = 0) -> list[Seen]:
    chance = np.random.default_rng(seed)
    return [
        Seen(f"p{n % people}", bool(chance.random() < failing), False, False, False, seconds)
        for n in range(count)
    ]


def test_a_release_like_the_old_one_holds_once_enough_is_seen_and_waits_before() -> None:
    assert outcome(guards(seen(400, 40), seen(20, 4))) is Outcome.CANNOT_TELL
    assert outcome(guards(seen(400, 40), seen(400, 40, seed=1))) is Outcome.PASS


def test_nobody_having_asked_yet_cannot_be_told() -> None:
    assert outcome(guards([], [])) is Outcome.CANNOT_TELL


def test_a_release_that_fails_half_the_time_is_stopped_after_a_few_answers() -> None:
    old, new = seen(400, 40), seen(20, 10, failing=0.5, seed=2)
    found = guards(old, new)
    assert outcome(found) is Outcome.FAIL
    assert [guard.measure for guard in found if guard.outcome is Outcome.FAIL] == ["failed"]
    assert "failed 0.0% →" in told(found, old, new)


def test_a_release_three_times_as_slow_is_stopped() -> None:
    found = guards(seen(100, 20), seen(100, 20, seconds=4.0))
    assert {guard.measure for guard in found if guard.outcome is Outcome.FAIL} == {"slow"}


def test_one_person_who_meets_failures_again_and_again_is_one_person() -> None:
    def new(people: int) -> list[Seen]:
        return [Seen(f"p{n % people}", n % people == 0, False, False, False, 1.0) for n in range(40)]

    failed = {people: guards(seen(400, 40), new(people))[0] for people in (2, 40)}
    assert failed[2].low == pytest.approx(0, abs=0.05)  # half of the answers, but of one of two people
    assert outcome(guards(seen(400, 40), new(2))) is not Outcome.FAIL


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3])
def test_the_bounds_hold_at_every_look_at_once(share: float) -> None:
    """Of 200 series, looked at after every 15 answers, a share of alpha may ever leave the truth out."""
    chance, missed = np.random.default_rng(3), 0
    for _ in range(200):
        successes = np.cumsum(chance.random(300) < share)
        bounds = [sequence(float(successes[n - 1]), n, 0.05) for n in range(15, 301, 15)]
        missed += any(not low <= share <= high for low, high in bounds)
    assert missed <= 14  # 10 expected at most; a fixed-look interval misses three times as often


def test_an_innocent_release_is_rarely_stopped_however_often_one_looks() -> None:
    stopped = 0
    for trial in range(60):
        old, new = (seen(600, 60, failing=0.05, seed=2 * trial + arm) for arm in (0, 1))
        stopped += any(outcome(guards(old[:n], new[:n])) is Outcome.FAIL for n in range(50, 601, 50))
    assert stopped <= 3


def test_every_guard_has_its_margin_declared() -> None:
    assert {guard.measure for guard in guards(seen(9, 3), seen(9, 3))} == set(MARGINS)
