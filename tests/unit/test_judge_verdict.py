from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from judging import passage, question, scored_arms

from kiban.domain.access import Audience
from kiban.domain.evidence import Arm, Outcome
from kiban.judge import statistics
from kiban.judge.measures import reciprocal_rank
from kiban.judge.verdict import RERANKED, Thresholds, decide, judge_retrieval

PLAIN = {"cited": 0.10, "right": 0.45, "over": 0.03, "abstained": 0.20}
TAUGHT = {"cited": 0.60, "right": 0.15, "over": 0.03, "abstained": 0.70}


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "_RESAMPLES", 299)


def outcomes(
    base: dict[str, float], adapted: dict[str, float], runs: int = 20, **drawn: object
) -> Counter[Outcome]:
    return Counter(
        decide("c", scored_arms(base, adapted, seed=seed, **drawn)).outcome  # type: ignore[arg-type]
        for seed in range(runs)
    )


def test_forty_questions_can_pass_a_candidate_that_learnt_to_quote_and_to_abstain() -> None:
    seen = outcomes(PLAIN, TAUGHT)
    assert seen[Outcome.PASS] >= 13
    assert seen[Outcome.FAIL] == 0


def test_a_candidate_that_changes_nothing_is_not_promoted() -> None:
    assert outcomes(PLAIN, PLAIN, runs=20)[Outcome.PASS] <= 1


@pytest.mark.parametrize(
    "degraded",
    [
        {
            "cited": 0.60,
            "right": 0.00,
            "over": 0.30,
            "abstained": 0.70,
        },  # learnt to quote, abstains too often
        {"cited": 0.01, "right": 0.10, "over": 0.03, "abstained": 0.20},  # forgot what it could
        {"cited": 0.80, "right": 0.10, "over": 0.00, "abstained": 0.00},  # quotes everything, never abstains
    ],
    ids=["timid", "forgetful", "reckless"],
)
def test_a_degraded_candidate_is_never_promoted(degraded: dict[str, float]) -> None:
    careful = {"cited": 0.30, "right": 0.60, "over": 0.03, "abstained": 0.80}
    assert outcomes(careful, degraded, runs=10)[Outcome.PASS] == 0


def test_a_candidate_that_is_much_slower_fails_whatever_it_learnt() -> None:
    verdict = decide("c", scored_arms(PLAIN, TAUGHT, seconds=(1.0, 5.0)))
    assert verdict.outcome is Outcome.FAIL
    assert any("Time per answer" in reason and "beyond" in reason for reason in verdict.reasons)


def test_a_verdict_that_cannot_tell_says_how_many_questions_would() -> None:
    verdict = decide("c", scored_arms(PLAIN, TAUGHT, answerable=6, unanswerable=2, documents=4))
    assert verdict.outcome is Outcome.CANNOT_TELL
    assert any("more are needed" in reason for reason in verdict.reasons)


def test_without_an_unanswerable_question_nothing_is_known_about_abstaining() -> None:
    verdict = decide("c", scored_arms(PLAIN, TAUGHT, unanswerable=0))
    assert verdict.outcome is Outcome.CANNOT_TELL
    assert any("no such question was asked" in reason for reason in verdict.reasons)


def test_tight_margins_ask_for_more_questions_than_forty() -> None:
    strict = Thresholds(correct=0.05, abstained=0.05, over_abstained=0.05)
    steady = dict(TAUGHT, right=0.0)
    assert decide("c", scored_arms(PLAIN, steady), thresholds=strict).outcome is Outcome.CANNOT_TELL


def test_means_are_taken_over_the_questions_a_measure_applies_to() -> None:
    verdict = decide("c", scored_arms(PLAIN, dict(TAUGHT, abstained=1.0)), seconds=12.0)
    assert verdict.evaluation.arms[Arm.ADAPTED_RAG]["abstained"] == 1.0
    assert (verdict.evaluation.questions, verdict.evaluation.documents) == (40, 12)
    assert verdict.evaluation.seconds == 12.0


def test_arms_that_were_asked_different_questions_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same questions"):
        decide("c", scored_arms(PLAIN, TAUGHT)[:-1])


def test_the_embedder_is_earned_apart_from_the_adapter() -> None:
    asked = [question(document=n, text=f"問{n}") for n in range(20)]
    late = [[passage(99), passage(99), passage(n)] for n in range(20)]
    first = [[passage(n)] for n in range(20)]
    better, same = judge_retrieval(asked, late, first), judge_retrieval(asked, late, late)
    assert (better.outcome, same.outcome) == (Outcome.PASS, Outcome.CANNOT_TELL)
    assert judge_retrieval(asked, first, late, reciprocal_rank).outcome is Outcome.FAIL
    verdict = decide("c", scored_arms(PLAIN, PLAIN), embedder=better)
    assert (verdict.outcome, verdict.embedder_earned, verdict.adapter_earned) == (Outcome.PASS, True, False)


def test_the_reranker_is_earned_apart_from_what_it_reads_again() -> None:
    asked = [question(document=n, text=f"問{n}") for n in range(20)]
    late, first = [[passage(99), passage(n)] for n in range(20)], [[passage(n)] for n in range(20)]
    better = judge_retrieval(asked, late, first, name=RERANKED)
    worse = judge_retrieval(asked, first, late)
    verdict = decide("c", [], embedder=worse, reranker=better)
    assert [comparison.measure for comparison in verdict.evaluation.comparisons] == ["ndcg_at_10", RERANKED]
    assert (verdict.outcome, verdict.reranker_earned, verdict.embedder_earned) == (Outcome.PASS, True, False)
    assert "reranked" in verdict.reasons[1]
    assert not decide("c", [], reranker=worse).reranker_earned


def test_nothing_to_judge_earns_nothing() -> None:
    assert decide("c", []).outcome is Outcome.CANNOT_TELL


@pytest.mark.parametrize(
    ("everyone", "outcome"), [(PLAIN, Outcome.PASS), (TAUGHT, Outcome.CANNOT_TELL)], ids=["behind", "as good"]
)
def test_a_zones_adapter_has_to_beat_everyones_too_where_that_one_answers(
    everyone: dict[str, float], outcome: Outcome
) -> None:
    hr = Audience(frozenset({"hr"}))
    shape = {"answerable": 60, "unanswerable": 20, "documents": 20}
    scored = scored_arms(PLAIN, TAUGHT, **shape)  # type: ignore[arg-type]
    assert decide("c", scored, zone=hr).outcome is Outcome.PASS
    for_everyone = [
        replace(each, arm=Arm.EVERYONE_RAG)
        for each in scored_arms(PLAIN, everyone, seed=1, **shape)  # type: ignore[arg-type]
        if each.arm is (Arm.BASE_RAG if everyone is PLAIN else Arm.ADAPTED_RAG)
    ]
    verdict = decide("c", [*scored, *for_everyone], zone=hr)
    assert (verdict.outcome, verdict.zone) == (outcome, hr)
    against = [each.against for each in verdict.evaluation.comparisons]
    assert against.count(Arm.EVERYONE_RAG) == against.count(Arm.BASE_RAG) == 6
    assert sum("Against everyone's adapter" in reason for reason in verdict.reasons) == 6
