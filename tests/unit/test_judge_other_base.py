from __future__ import annotations

from dataclasses import replace

import pytest
from judging import scored_arms

from kiban.domain.access import ALL, Audience
from kiban.domain.evidence import Arm, Outcome, Scored, Verdict
from kiban.domain.learning import Candidate, Curriculum, Weights
from kiban.judge import other_base, report, statistics
from kiban.judge.other_base import Bytes

SIDES = {Arm.BASE_RAG: Arm.CHAMPION_RAG, Arm.ADAPTED_RAG: Arm.OTHER_RAG}
GOOD = {"cited": 0.80, "right": 0.10, "over": 0.03, "abstained": 0.80}
POOR = {"cited": 0.20, "right": 0.10, "over": 0.03, "abstained": 0.70}
SAME, LIGHTER = Bytes(1000, 1000), Bytes(1000, 500)
HR = Audience(frozenset({"hr"}))


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "_RESAMPLES", 299)


def scored(
    old: dict[str, float], new: dict[str, float], zone: Audience = ALL, seed: int = 0, **drawn: object
) -> list[Scored]:
    drawn = {"answerable": 150, "unanswerable": 50, "documents": 50, **drawn}
    return [
        replace(each, arm=SIDES[each.arm], question=replace(each.question, audience=zone))
        for each in scored_arms(old, new, seed=seed, **drawn)  # type: ignore[arg-type]
    ]


def decide(asked: list[Scored], weighed: Bytes = SAME) -> Verdict:
    return other_base.decide("c", asked, weighed, champion="r")


def alike(asked: list[Scored]) -> list[Scored]:
    """Return the same with the other base answering as what is in force does."""
    old = {each.question: each for each in asked if each.arm is Arm.CHAMPION_RAG}
    return [
        each if each.arm is Arm.CHAMPION_RAG else replace(old[each.question], arm=Arm.OTHER_RAG)
        for each in asked
    ]


def test_a_better_base_earns_the_place_of_what_answers_now() -> None:
    verdict = decide(scored(POOR, GOOD))
    assert verdict.outcome is Outcome.PASS and verdict.base_earned
    assert verdict.champion == "r"
    assert not (verdict.adapter_earned or verdict.embedder_earned or verdict.reranker_earned)


def test_one_that_is_no_better_changes_nothing() -> None:
    verdict = decide(alike(scored(GOOD, GOOD)))
    assert verdict.outcome is Outcome.CANNOT_TELL and not verdict.base_earned


def test_one_that_is_as_good_and_lighter_earns_it() -> None:
    verdict = decide(alike(scored(GOOD, GOOD)), LIGHTER)
    assert verdict.outcome is Outcome.PASS and verdict.base_earned
    assert verdict.reasons[-1].startswith("Weights: 0.00 GB → 0.00 GB: 50% lighter")


def test_one_that_is_as_good_and_faster_earns_it_and_a_little_faster_is_not_enough() -> None:
    def paced(share: float) -> list[Scored]:
        return [
            replace(each, seconds=share * each.seconds) if each.arm is Arm.OTHER_RAG else each
            for each in alike(scored(GOOD, GOOD))
        ]

    assert decide(paced(0.7)).outcome is Outcome.PASS
    assert decide(paced(0.95)).outcome is Outcome.CANNOT_TELL


def test_one_that_is_slower_is_only_not_helped_by_it_until_it_is_too_slow() -> None:
    assert decide(scored(POOR, GOOD, seconds=(1.0, 1.5))).outcome is Outcome.PASS
    assert decide(scored(POOR, GOOD, seconds=(1.0, 5.0))).outcome is Outcome.FAIL


def test_a_worse_one_fails_however_light_and_fast() -> None:
    assert decide(scored(GOOD, POOR, seconds=(1.0, 0.3)), LIGHTER).outcome is Outcome.FAIL


def test_a_lighter_one_of_which_too_little_is_known_stays_outside() -> None:
    few = alike(scored(GOOD, GOOD, answerable=6, unanswerable=2, documents=4))
    assert decide(few, LIGHTER).outcome is Outcome.CANNOT_TELL


def test_a_zone_that_loses_what_it_had_outweighs_everyones_gain() -> None:
    verdict = decide([*scored(POOR, GOOD), *scored(GOOD, POOR, HR, seed=1)])
    assert verdict.outcome is Outcome.FAIL
    assert {each.zone for each in verdict.evaluation.comparisons} == {ALL, HR}
    assert any(reason.startswith(f"In {HR.label}:") and "worse" in reason for reason in verdict.reasons)


def test_nothing_asked_is_nothing_earned() -> None:
    assert decide([], LIGHTER).outcome is Outcome.CANNOT_TELL


def test_under_no_difference_few_bases_pass() -> None:
    """Drawn apart, alike in quality, weight and pace: what passes does so by chance."""
    passed = sum(decide(scored(GOOD, GOOD, seed=seed)).outcome is Outcome.PASS for seed in range(40))
    assert passed <= 5  # P(more than 5 of 40 at a true rate of 5 %) is 1.4 %


def test_the_page_tells_what_is_compared() -> None:
    asked = [*scored(POOR, GOOD), *scored(GOOD, POOR, HR, seed=1)]
    weights = Weights(report.Path("/models/another"), "a" * 64)
    candidate = Candidate("c", "", (), None, None, None, llm=weights)
    page = report.render(candidate, decide(asked), asked, Curriculum(ALL, (), (), "p", 1))
    for told in (
        "今の公開版＋検索",
        "別の元モデル＋検索",
        "another base model",
        "in the zone of hr",
        "another</dd>",
    ):
        assert told in page.replace(" <code>" + "a" * 16 + "</code>", "")
    assert "採用しません" in page
