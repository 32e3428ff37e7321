"""Intervals hold what they claim to."""

from __future__ import annotations

import random

from kiban.bench.uncertainty import difference, interval


def test_an_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    chance = random.Random(1)
    covered = 0
    for _ in range(100):
        low, high = interval([float(chance.random() < 0.3) for _ in range(200)])
        covered += low <= 0.3 <= high
    assert covered >= 88  # a binomial of 100 at 0.95 falls below once in a thousand


def test_pairing_sees_a_small_difference_between_noisy_scores() -> None:
    chance = random.Random(2)
    old = [chance.random() for _ in range(200)]
    mean, low, high = difference([score + 0.05 for score in old], old)
    assert abs(mean - 0.05) < 1e-9 and 0.04 < low <= high < 0.06


def test_nothing_asked_is_nothing_known() -> None:
    assert interval([]) == (0.0, 0.0)
    assert difference([], []) == (0.0, 0.0, 0.0)
