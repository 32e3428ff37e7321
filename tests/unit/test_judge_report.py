from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from judging import ALL, passage, question, scored_arms

from kiban.domain.evidence import Arm, Comparison, Outcome, Scored, Verdict
from kiban.domain.learning import Candidate, Curriculum, TrainingExample, Weights
from kiban.judge import report
from kiban.judge.verdict import RERANKED, decide, judge_retrieval

PLAIN = {"cited": 0.10, "right": 0.45, "over": 0.03, "abstained": 0.20}
TAUGHT = {"cited": 0.90, "right": 0.05, "over": 0.0, "abstained": 0.90}
CURRICULUM = Curriculum(
    ALL, (TrainingExample(question(), (), "12日", (question().lineage,), ALL),), (), "prompt-1", 0
)
CANDIDATE = Candidate(
    "c-1",
    CURRICULUM.sha256,
    CURRICULUM.lineage,
    Weights(Path("a"), "ab" * 32),
    None,
    None,
    ("kiban-adapter/3",),
)


def page(scored: list[Scored], verdict: Verdict | None = None) -> str:
    return report.render(
        CANDIDATE, verdict or decide("c-1", scored), scored, CURRICULUM, {"LLM": "qwen2.5-coder-0.5b"}
    )


@pytest.fixture(scope="module")
def passed() -> list[Scored]:
    return scored_arms(PLAIN, TAUGHT)


@pytest.mark.parametrize(
    ("adapted", "drawn", "word"),
    [
        (TAUGHT, {}, "採用を勧めます <small>Release it</small>"),
        (PLAIN, {"answerable": 8, "unanswerable": 3}, "まだ判断できません <small>Cannot tell yet</small>"),
        (dict.fromkeys(PLAIN, 0.0), {}, "採用しません <small>Do not release it</small>"),
    ],
)
def test_the_recommendation_is_the_first_thing_on_the_page(
    adapted: dict[str, float], drawn: dict[str, int], word: str
) -> None:
    heading = re.search(r"<h1>(.*?)</h1>", page(scored_arms(PLAIN, adapted, **drawn)))
    assert heading is not None
    assert heading[1] == word


def test_an_undecided_verdict_says_how_many_questions_would_decide() -> None:
    scored = scored_arms(PLAIN, TAUGHT, answerable=8, unanswerable=0)
    assert re.search(r"問いをあと約[\d,]+問増やせば", page(scored))


def test_the_page_asks_for_nothing_from_elsewhere(passed: list[Scored]) -> None:
    assert not re.findall(r"""(?:src|href|url\(|@import)\s*=?\s*["'(]?\s*(?:https?:)?//""", page(passed))


def test_what_a_model_wrote_cannot_become_markup(passed: list[Scored]) -> None:
    hostile = "<script>alert(1)</script><img src=x>"
    spoilt = [replace(each, answer=replace(each.answer, text=hostile)) for each in passed]
    html = page(spoilt)
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html


def test_wins_and_losses_stand_side_by_side_clearest_first(passed: list[Scored]) -> None:
    wins, losses = report.examples(passed)
    assert len(wins) == 3
    gains = [report._merit(each.new) - report._merit(each.old) for each in wins]
    assert gains == sorted(gains, reverse=True)
    assert gains[0] == 2
    assert all(report._merit(each.new) < report._merit(each.old) for each in losses)


def test_every_arm_has_its_mean_and_interval(passed: list[Scored]) -> None:
    table = report.estimates(passed)
    assert [each.arm for each in table["correct"]] == [Arm.BASE_RAG, Arm.ADAPTED_RAG]
    for estimates in table.values():
        assert all(each.low <= each.mean <= each.high for each in estimates)


def test_where_it_came_from_and_how_to_repeat_it_is_on_the_page(passed: list[Scored]) -> None:
    html = page(passed)
    for fact in ("rules-1.md", CURRICULUM.sha256[:16], "kiban-adapter/3", "prompt-1", "qwen2.5-coder-0.5b"):
        assert fact in html


def test_a_leak_is_named_at_the_top_and_in_its_own_table(passed: list[Scored]) -> None:
    leak = Comparison(
        "exposed_masked", "audit", 1.4, 6.0, 4.6, 3.0, 4.6, 0.0001, 0.0002, 7, Outcome.FAIL, wins=7
    )
    html = page(passed, decide("c-1", passed, audits=[leak]))
    assert "知ってはならないことを覚えています" in html
    assert "6.0 bits" in html
    assert "1.4 bits by chance" in html
    assert "漏れが見つかりました" in html
    assert "漏えいの監査" not in page(passed)


def test_a_candidate_that_was_not_asked_anything_still_has_a_page() -> None:
    verdict = decide("c-1", [])
    assert verdict.outcome is Outcome.CANNOT_TELL
    assert "判断できません" in page([], verdict)


def test_a_reranker_that_alone_is_better_is_told_of() -> None:
    asked = [question(document=n, text=f"問{n}") for n in range(20)]
    late, first = [[passage(99), passage(n)] for n in range(20)], [[passage(n)] for n in range(20)]
    verdict = decide("c-1", [], reranker=judge_retrieval(asked, late, first, name=RERANKED))
    candidate = replace(CANDIDATE, reranker=Weights(Path("r"), "cd" * 32))
    html = report.render(candidate, verdict, [], CURRICULUM)
    assert "検索だけが良くなったと確かめられました" in html
    assert "検索の並べ替え (nDCG@10)" in html and "cd" * 8 in html
