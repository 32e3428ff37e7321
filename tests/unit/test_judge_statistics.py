from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from kiban.domain.evidence import Outcome
from kiban.judge import sample_size, statistics
from kiban.judge.statistics import Pairs


def clustered(
    seed: int, documents: int, each: int, old: float, new: float, correlation: float = 0.3
) -> Pairs:
    """Draw right and wrong answers whose share varies by document: beta-binomial, each arm its own."""
    rng = np.random.default_rng(seed)
    weight = (1 - correlation) / correlation
    arms = [
        np.repeat(rng.beta(share * weight, (1 - share) * weight, documents), each)
        > rng.random(documents * each)
        for share in (old, new)
    ]
    return Pairs(*(list(map(float, arm)) for arm in arms), list(np.repeat(np.arange(documents), each)))


@pytest.mark.parametrize(
    ("wins", "losses", "p_value"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 0.0625), (6, 0, 0.03125), (8, 2, 112 / 1024), (12, 3, 1152 / 32768)],
)
def test_mcnemar_agrees_with_the_binomial_table(wins: int, losses: int, p_value: float) -> None:
    assert statistics.mcnemar_p(wins, losses) == pytest.approx(p_value)
    assert statistics.mcnemar_p(losses, wins) == pytest.approx(p_value)


def test_holm_agrees_with_the_worked_example_and_keeps_the_order() -> None:
    # Holm 1979: 0.01 x 4, 0.005 x ... stepped down, never decreasing.
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([]) == []


def test_the_sign_flip_test_counts_every_pattern_of_few_documents() -> None:
    sums = [3, 1, 2, -1, 2, 1, 1]
    pairs = Pairs([0.0] * 7, [float(value) for value in sums], list(range(7)))
    patterns = [
        abs(sum(s * v for s, v in zip(signs, sums, strict=True))) for signs in product((1, -1), repeat=7)
    ]
    expected = sum(pattern >= sum(sums) for pattern in patterns) / 2**7
    assert statistics.sign_flip_p(pairs) == pytest.approx(expected)


def test_without_correlation_the_sign_flip_test_is_mcnemar() -> None:
    pairs = Pairs([0.0] * 9 + [1.0], [1.0] * 9 + [0.0], list(range(10)))
    assert statistics.sign_flip_p(pairs) == pytest.approx(statistics.mcnemar_p(9, 1))


def test_forty_wins_in_one_document_prove_nothing() -> None:
    pairs = Pairs([0.0] * 40, [1.0] * 40, [7] * 40)
    assert statistics.mcnemar_p(pairs.wins, pairs.losses) < 1e-9
    assert statistics.settle([("correct", pairs)])[0].outcome is Outcome.CANNOT_TELL


def test_when_nothing_changed_one_in_twenty_is_called_a_change_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where McNemar, which takes every question as independent, errs more than twice as often."""
    monkeypatch.setattr(statistics, "_RESAMPLES", 499)
    drawn = [clustered(seed, 14, 4, 0.5, 0.5) for seed in range(150)]
    cluster_aware = np.mean([statistics.sign_flip_p(pairs) < 0.05 for pairs in drawn])
    naive = np.mean([statistics.mcnemar_p(pairs.wins, pairs.losses) < 0.05 for pairs in drawn])
    assert cluster_aware <= 0.085  # 5 % and two standard errors of 150 draws
    assert naive > 0.1


@pytest.mark.parametrize(("documents", "each", "share"), [(12, 3, 0.5), (20, 2, 0.8)])
def test_the_interval_covers_a_true_difference_as_often_as_it_says(
    monkeypatch: pytest.MonkeyPatch, documents: int, each: int, share: float
) -> None:
    monkeypatch.setattr(statistics, "_RESAMPLES", 499)
    bounds = [
        statistics.interval(pairs.differences, pairs.documents, level=0.90)
        for pairs in (clustered(seed, documents, each, share, share) for seed in range(120))
    ]
    covered = np.mean([low <= 0 <= high for low, high in bounds])
    too_hopeful = np.mean([low > 0 for low, _ in bounds])
    assert covered >= 0.86
    assert too_hopeful <= 0.08


def test_the_interval_is_the_same_every_time_and_claims_no_certainty_it_lacks() -> None:
    pairs = clustered(3, 10, 3, 0.4, 0.7)
    first, second = (statistics.interval(pairs.differences, pairs.documents, 0.95) for _ in range(2))
    assert first == second
    low, high = statistics.interval(np.zeros(20), list(range(20)), 0.90)
    assert (low, high) == pytest.approx((-0.139, 0.139), abs=0.001)  # 1 - 0.05^(1/20)


@pytest.mark.parametrize(
    ("difference", "documents", "outcome"),
    [(0.0, 60, Outcome.PASS), (-0.5, 60, Outcome.FAIL), (0.0, 10, Outcome.CANNOT_TELL)],
)
def test_a_guard_passes_only_when_a_loss_beyond_the_margin_is_ruled_out(
    difference: float, documents: int, outcome: Outcome
) -> None:
    old = np.ones(documents)
    new = old.copy()
    new[: int(-difference * documents)] = 0
    guard = statistics.compare_guard("correct", Pairs(list(old), list(new), list(range(documents))), 0.10)
    assert guard.outcome is outcome
    assert bool(guard.needed) is (outcome is Outcome.CANNOT_TELL)


@pytest.mark.parametrize(
    ("discordant", "points", "published"), [(0.10, 3, 870), (0.15, 5, 469), (0.20, 4, 979)]
)
def test_the_needed_number_of_questions_agrees_with_the_formula_for_paired_proportions(
    discordant: float, points: int, published: int
) -> None:
    wins, losses = (
        round(1000 * (discordant + points / 100) / 2),
        round(1000 * (discordant - points / 100) / 2),
    )
    differences = np.array([1.0] * wins + [-1.0] * losses + [0.0] * (1000 - wins - losses))
    np.random.default_rng(0).shuffle(differences)
    assert sample_size.to_show(differences, list(range(1000))) == pytest.approx(published, rel=0.02)


def test_a_guard_without_observed_loss_needs_what_the_formula_says() -> None:
    differences = np.array([1.0, -1.0] * 75 + [0.0] * 850)
    assert sample_size.to_decide(differences, list(range(1000)), 0.05) == pytest.approx(371, rel=0.01)


def test_copies_of_one_question_are_worth_one_question() -> None:
    differences = np.repeat([1.0, -1.0, 0.0, 1.0, 0.0, 1.0, -1.0, 1.0] * 5, 4)
    assert sample_size.design_effect(differences, list(np.repeat(np.arange(40), 4))) == pytest.approx(
        4, rel=0.05
    )
    assert sample_size.design_effect(differences, list(range(160))) == pytest.approx(1, rel=0.05)
