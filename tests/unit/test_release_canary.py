from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from test_release_ledger import BASE, PASSED, adapted, put

from kiban.domain.evidence import Outcome
from kiban.domain.release import Action, LedgerEntry, tampered
from kiban.errors import ConcurrentRelease, NoSuchRelease, NotEarned
from kiban.release import canary
from kiban.release.ledger import found, in_force, last_seen, propose, proposed, rollback, withdraw
from kiban.testing import MemoryLedger

NEW = adapted("new")


@pytest.fixture
def ledger() -> MemoryLedger:
    founded = MemoryLedger()
    found(founded, BASE, "boot")
    put(founded, adapted("old"))
    return founded


def begin(ledger: MemoryLedger, share: int = 5) -> LedgerEntry:
    return canary.begin(
        ledger, NEW, PASSED, share=share, actor="flow", evidence="report.html", seen=last_seen(ledger)
    )


def answered(ledger: MemoryLedger, place: float) -> str | None:
    return canary.answers(ledger, lambda release: place).adapter


def test_some_people_are_answered_by_the_release_on_trial_and_the_others_as_before(
    ledger: MemoryLedger,
) -> None:
    begin(ledger)
    assert (answered(ledger, 4.9), answered(ledger, 5.0)) == ("new", "old")
    assert in_force(ledger).adapter == "old"


def test_who_is_in_stays_in_when_the_trial_widens(ledger: MemoryLedger) -> None:
    begin(ledger)
    canary.widen(ledger, 25, actor="tend", reason="held")
    assert [answered(ledger, place) for place in (4.9, 24.9, 25.0)] == ["new", "new", "old"]
    trial = canary.on_trial(ledger)
    assert trial is not None
    assert [share for _, share in trial.steps] == [5, 25]
    (first, _), (second, _) = trial.steps
    assert trial.share_at(first - timedelta(seconds=1)) == 0
    assert (trial.share_at(first), trial.share_at(second)) == (5, 25)
    assert trial.evidence == "report.html"


def test_a_trial_that_is_completed_answers_everyone_and_can_be_rolled_back(ledger: MemoryLedger) -> None:
    begin(ledger)
    assert canary.complete(ledger, actor="tend", reason="held").action is Action.PROMOTED
    assert answered(ledger, 99.9) == "new"
    assert canary.on_trial(ledger) is None
    rollback(ledger, actor="aoi", reason="worse")
    assert answered(ledger, 0) == "old"


def test_a_trial_that_is_stopped_leaves_what_was_in_force(ledger: MemoryLedger) -> None:
    begin(ledger)
    canary.stop(ledger, actor="tend", reason="worse")
    assert answered(ledger, 0) == "old"
    assert [entry.action for entry in ledger.entries()][-2:] == [Action.TRIED, Action.ROLLED_BACK]
    rollback(ledger, actor="aoi", reason="still worse")
    assert in_force(ledger) == BASE


@pytest.mark.parametrize("curriculum", ["of new", "of old"])
def test_a_deleted_document_withdraws_at_once_in_either_arm(ledger: MemoryLedger, curriculum: str) -> None:
    begin(ledger, 50)
    ledger.taint(curriculum, "travel.md")
    gone = curriculum.removeprefix("of ")
    assert gone not in (answered(ledger, 0), answered(ledger, 99))
    entry = withdraw(ledger, actor="tend")
    assert entry is not None and "travel.md" in entry.reason
    assert canary.on_trial(ledger) is None
    assert in_force(ledger).adapter == {"new": "old", "old": None}[gone]
    assert withdraw(ledger, actor="tend") is None


def test_only_what_has_earned_it_is_tried(ledger: MemoryLedger) -> None:
    with pytest.raises(NotEarned):
        canary.begin(
            ledger,
            NEW,
            replace(PASSED, outcome=Outcome.CANNOT_TELL),
            share=5,
            actor="flow",
            evidence="",
            seen=last_seen(ledger),
        )
    with pytest.raises(ConcurrentRelease):
        canary.begin(ledger, NEW, PASSED, share=5, actor="flow", evidence="", seen=1)
    with pytest.raises(NoSuchRelease):
        canary.widen(ledger, 25, actor="tend", reason="held")


def test_another_promotion_ends_a_trial(ledger: MemoryLedger) -> None:
    begin(ledger)
    put(ledger, adapted("third"))
    assert answered(ledger, 0) == "third"
    assert canary.on_trial(ledger) is None


def test_the_share_is_sealed_and_entries_for_everyone_keep_the_hashes_they_had(ledger: MemoryLedger) -> None:
    begin(ledger)
    entries = ledger.entries()
    assert tampered(entries) is None
    assert tampered([*entries[:-1], replace(entries[-1], share=99)]) == entries[-1].seq


def test_a_proposal_waits_and_changes_nothing(ledger: MemoryLedger) -> None:
    begin(ledger)
    third = adapted("third")
    propose(ledger, third, PASSED, actor="judge flow", evidence="report.html")
    waiting = proposed(ledger)
    assert waiting is not None and waiting.release_id == third.id
    assert (answered(ledger, 0), in_force(ledger).adapter) == ("new", "old")
    put(ledger, third)
    assert proposed(ledger) is None
