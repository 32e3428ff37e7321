"""A flip moves the index generation and nothing else, and can be undone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kiban.domain.release import Action, Release
from kiban.errors import ConcurrentRelease, NoSuchRelease, NotEarned
from kiban.release import ledger as releases
from kiban.testing import MemoryLedger

BASE = Release("llm", None, None, None, "old", "o" * 64, 1, "prompt-1", None)
FLIPPED = replace(BASE, embedder="new", embedder_sha256="n" * 64, generation=2)


@pytest.fixture
def ledger() -> MemoryLedger:
    ledger = MemoryLedger()
    releases.found(ledger, BASE, actor="kiban up")
    return ledger


def flip(ledger: MemoryLedger, release: Release = FLIPPED, seen: int | None = None) -> None:
    seen = releases.last_seen(ledger) if seen is None else seen
    releases.flip(ledger, release, actor="aoi", reason="better", evidence="1-2.json", seen=seen)


def test_a_flip_answers_at_once_and_is_written_down(ledger: MemoryLedger) -> None:
    flip(ledger)
    assert releases.in_force(ledger) == FLIPPED == releases.ground(ledger)
    entry = ledger.entries()[-1]
    assert (entry.action, entry.actor, entry.reason, entry.evidence) == (
        Action.FLIPPED,
        "aoi",
        "better",
        "1-2.json",
    )
    flip(ledger)
    assert len(ledger.entries()) == 2


def test_a_flip_can_be_undone_and_done_again(ledger: MemoryLedger) -> None:
    flip(ledger)
    releases.flip_back(ledger, actor="aoi", reason="slower")
    assert releases.in_force(ledger) == BASE == releases.ground(ledger)
    with pytest.raises(NoSuchRelease, match="flip"):
        releases.flip_back(ledger, actor="aoi", reason="again")
    flip(ledger)
    assert releases.in_force(ledger) == FLIPPED


def test_of_two_who_saw_the_same_ledger_one_flips(ledger: MemoryLedger) -> None:
    flip(ledger, seen=1)
    with pytest.raises(ConcurrentRelease):
        flip(ledger, replace(FLIPPED, generation=3), seen=1)


@pytest.mark.parametrize("more", [{"adapter": "a"}, {"prompt_version": "prompt-2"}, {"llm": "other"}])
def test_a_flip_smuggles_nothing_in(ledger: MemoryLedger, more: dict[str, str]) -> None:
    with pytest.raises(NotEarned, match="nothing else"):
        flip(ledger, replace(FLIPPED, **more))  # type: ignore[arg-type]


def test_what_may_answer_again_is_known(ledger: MemoryLedger) -> None:
    flip(ledger)
    assert releases.returnable(ledger) == [BASE, FLIPPED]
    releases.flip_back(ledger, actor="aoi", reason="")
    assert releases.returnable(ledger) == [BASE]
