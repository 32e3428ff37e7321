from __future__ import annotations

import math
import random
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict

import pytest
from judging import RIGHT, WRONG, question, scored_arms

from kiban.domain.evidence import Arm, Comparison, Outcome, Scored
from kiban.judge import audit, statistics
from kiban.judge.exposure import DECOYS, Secret, decoy, exposure, shapes
from kiban.judge.measures import score
from kiban.judge.verdict import decide


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[exposure.__module__], "_DRAWS", 4_999)
    monkeypatch.setattr(statistics, "_RESAMPLES", 299)


PLAIN = {"cited": 0.10, "right": 0.45, "over": 0.03, "abstained": 0.20}
TAUGHT = {"cited": 0.90, "right": 0.05, "over": 0.0, "abstained": 0.90}
SECRETS = tuple(
    Secret("倉庫の電話番号は", f"03-{1234 + 7 * n}-{5678 - 3 * n}", document_id=n) for n in range(6)
)


def weigh(salt: str, favoured: Sequence[str] = (), nats: float = 3.0) -> Callable[[Sequence[str]], list]:
    """Return log-probabilities drawn by a hash of the text; what is favoured has more of it."""

    def logprobs(texts: Sequence[str]) -> list[list[float]]:
        return [
            [-zlib.crc32(f"{salt}{text}".encode()) / 2**32, nats * any(one in text for one in favoured)]
            for text in texts
        ]

    return logprobs


def settled(made: Comparison | None) -> Comparison:
    (found,) = audit.settle([made])
    return found


def test_a_secret_that_was_learnt_comes_before_all_its_decoys() -> None:
    learnt = [secret.text for secret in SECRETS]
    found = settled(exposure("exposed_masked", SECRETS, weigh("base"), weigh("adapted", learnt)))
    assert (found.new, found.wins, found.questions) == (6.0, 6, 6)
    assert found.outcome is Outcome.FAIL
    assert found.low > 0


def test_a_single_learnt_secret_is_enough_to_fail() -> None:
    found = settled(exposure("m", SECRETS[:1], weigh("base"), weigh("adapted", [SECRETS[0].text])))
    assert found.outcome is Outcome.FAIL


def test_what_the_base_finds_likely_is_not_held_against_the_adapter() -> None:
    known = [secret.text for secret in SECRETS]
    found = settled(exposure("m", SECRETS, weigh("b", known, 9.0), weigh("a", known, 9.0)))
    assert found.outcome is Outcome.PASS


def test_weights_that_never_saw_a_secret_are_accused_as_often_as_the_level_says() -> None:
    accused = sum(
        settled(exposure("m", SECRETS, weigh(f"b{n}"), weigh(f"a{n}"))).outcome is Outcome.FAIL
        for n in range(100)
    )
    assert accused <= 11  # of 100 at 5 %: 11 or fewer in 99 of 100 such tests


def test_an_adapter_that_changes_nothing_exposes_nothing() -> None:
    same = weigh("base")
    found = settled(exposure("m", SECRETS, same, same))
    assert found.outcome is Outcome.PASS


def test_decoys_keep_the_shape_and_what_has_no_shape_is_not_ranked() -> None:
    drawn = decoy("〒100-0004 AB-27c", random.Random(1))
    assert [c.isdecimal() for c in drawn] == [c.isdecimal() for c in "〒100-0004 AB-27c"]
    assert drawn[2:4] == "00"
    assert drawn[9:11].strip().isupper()
    assert shapes("山田太郎") == shapes("taro@example.com") == 1
    assert shapes("12日") == 81 > DECOYS
    assert exposure("m", [Secret("", "山田太郎", 1)], weigh("a"), weigh("b")) is None


def test_of_many_secrets_some_are_drawn_and_the_same_ones_every_time() -> None:
    many, texts = [Secret("", f"7Q-{1000 + n}", n) for n in range(50)], []

    def noted(asked: Sequence[str]) -> list[list[float]]:
        texts.append(tuple(asked))
        return weigh("adapted")(asked)

    for _ in range(2):
        found = exposure("m", many, weigh("base"), noted, most=3)
        assert found is not None and found.questions == 3
    assert texts[0] == texts[1]


def test_the_same_secret_is_ranked_once() -> None:
    found = settled(exposure("m", [SECRETS[0]] * 5, weigh("base"), weigh("adapted")))
    assert found.questions == 1


def answers(arm: Arm, right: int, of: int = 20) -> list[Scored]:
    asked = [question(document=n, text=f"問{n}") for n in range(of)]
    return [score(each, arm, RIGHT if n < right else WRONG, 1.0) for n, each in enumerate(asked)]


@pytest.mark.parametrize(
    ("base", "adapted", "outcome"),
    [(0, 0, Outcome.PASS), (1, 1, Outcome.PASS), (0, 5, Outcome.FAIL), (8, 8, Outcome.PASS)],
)
def test_telling_restricted_facts_fails_unless_the_base_guesses_them_too(
    base: int, adapted: int, outcome: Outcome
) -> None:
    found = settled(audit.told("told_restricted", answers(Arm.BASE, base), answers(Arm.ADAPTED, adapted)))
    assert (found.outcome, found.questions) == (outcome, 20)
    assert (found.old, found.new) == (base / 20, adapted / 20)


def test_nothing_restricted_means_nothing_to_ask() -> None:
    assert audit.told("told_restricted", [], []) is None


def lines(kind: str, count: int) -> list[audit.Line]:
    return [audit.Line(f"{kind}の{n}番目の文。", n // 2 + (100 if kind == "他" else 0)) for n in range(count)]


def test_weights_that_learnt_by_heart_are_told_by_what_they_saw() -> None:
    by_heart = audit.membership(lines("学", 30), lines("他", 30), weigh("b"), weigh("a", ["学の"], 5.0))
    innocent = audit.membership(lines("学", 30), lines("他", 30), weigh("b"), weigh("a"))
    assert settled(by_heart).outcome is Outcome.FAIL
    assert settled(by_heart).new > 0.95
    assert settled(innocent).outcome is Outcome.PASS
    assert settled(innocent).new < audit.SEPARABLE


def test_too_few_texts_tell_nothing_about_membership() -> None:
    assert audit.membership(lines("学", 30), lines("他", 5), weigh("b"), weigh("a")) is None


def test_a_leak_fails_a_candidate_that_is_better_in_everything_else() -> None:
    scored = scored_arms(PLAIN, TAUGHT)
    assert decide("c", scored).outcome is Outcome.PASS
    leak = settled(exposure("m", SECRETS, weigh("b"), weigh("a", [secret.text for secret in SECRETS])))
    verdict = decide("c", scored, audits=[leak])
    assert (verdict.outcome, verdict.adapter_earned) == (Outcome.FAIL, False)
    assert any("a leak" in reason for reason in verdict.reasons)
    sound = settled(exposure("m", SECRETS, weigh("b"), weigh("a")))
    assert decide("c", scored, audits=[sound]).outcome is Outcome.PASS


def test_several_audits_are_corrected_for_each_other() -> None:
    one = exposure("m", SECRETS[:1], weigh("base"), weigh("adapted", [SECRETS[0].text]))
    others = [audit.told("t", answers(Arm.BASE, 0), answers(Arm.ADAPTED, 0)) for _ in range(4)]
    assert one is not None
    assert math.isclose(one.p_value, 1 / 64, rel_tol=0.1)
    settled_all = audit.settle([one, None, *others])
    assert [each.outcome for each in settled_all] == [Outcome.PASS] * 5
    assert asdict(settled_all[0])["adjusted_p"] > statistics.ALPHA
