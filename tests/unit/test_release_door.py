from __future__ import annotations

from pathlib import Path

import pytest

from kiban.domain.evidence import Evaluation, Outcome, Verdict
from kiban.domain.learning import Weights
from kiban.release.door import CHALLENGER, CHAMPION, Wanted, Wish, answer, refusal, wishes
from kiban.testing import MemoryRegistry

NAME = "kiban-adapter"
SEQ = 5


@pytest.fixture
def registry() -> MemoryRegistry:
    """Give versions 1 to 3 with the hashes a, b, c, and the crown on version 1."""
    shelved = MemoryRegistry()
    for sha256 in "abc":
        shelved.register(NAME, Weights(Path("/nowhere"), sha256), {}, "")
    shelved.crown(NAME, 1, SEQ)
    return shelved


def wanted(registry: MemoryRegistry, answering: str | None = "a", seq: int = SEQ) -> list[Wish]:
    return list(wishes(registry.shelf(NAME), answering, seq))


def test_nobody_wishes_anything_while_registry_and_ledger_agree(registry: MemoryRegistry) -> None:
    assert wanted(registry) == []
    assert list(wishes(MemoryRegistry().shelf(NAME), None, SEQ)) == []


def test_a_challenger_is_to_be_judged_once(registry: MemoryRegistry) -> None:
    registry.alias(CHALLENGER, f"{NAME}/2", NAME)
    (wish,) = wanted(registry)
    assert (wish.wanted, wish.version and wish.version.version) == (Wanted.JUDGED, f"{NAME}/2")
    registry.tell(f"{NAME}/2", "cannot tell")
    assert wanted(registry) == []


@pytest.mark.parametrize("answering", ["a", None])
def test_a_champion_moved_by_hand_is_a_wish_to_release(
    registry: MemoryRegistry, answering: str | None
) -> None:
    if answering is None:
        registry.crown(NAME, None, SEQ)
    registry.alias(CHAMPION, f"{NAME}/3", NAME)
    (wish,) = wanted(registry, answering)
    assert (wish.wanted, wish.version and wish.version.number) == (Wanted.RELEASED, 3)


def test_a_crown_that_is_behind_the_ledger_is_nobodys_wish(registry: MemoryRegistry) -> None:
    (wish,) = wanted(registry, "b", SEQ + 1)
    assert (wish.wanted, wish.version and wish.version.number) == (Wanted.FOLLOWED, 2)
    (gone,) = wanted(registry, None, SEQ + 1)
    assert (gone.wanted, gone.version) == (Wanted.FOLLOWED, None)


def test_a_champion_alias_taken_away_is_put_back(registry: MemoryRegistry) -> None:
    registry.alias(CHAMPION, None, NAME)
    (wish,) = wanted(registry)
    assert (wish.wanted, wish.version and wish.version.number) == (Wanted.FOLLOWED, 1)


def test_a_deleted_version_that_answers_is_to_be_restored(registry: MemoryRegistry) -> None:
    registry.delete(NAME, 2)
    assert wanted(registry) == []
    registry.delete(NAME, 1)
    (wish,) = wanted(registry)
    assert wish == Wish(Wanted.RESTORED, NAME, None)


def test_an_answer_says_what_became_of_it_and_fits_a_tag() -> None:
    def verdict(outcome: Outcome) -> Verdict:
        return Verdict(outcome, ("理由です。" * 200,), Evaluation("c", {}, (), 0, 0, 0.0))

    assert answer(verdict(Outcome.PASS), released=True).startswith("released.")
    assert "give it the alias champion" in answer(verdict(Outcome.PASS), released=False)
    told = answer(verdict(Outcome.CANNOT_TELL), released=False)
    assert told.startswith("not released: the verdict is “cannot tell”") and len(told) == 500
    assert refusal("x" * 600).endswith("…")
