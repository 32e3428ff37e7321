from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from kiban.domain.evidence import Evaluation, Outcome, Verdict
from kiban.domain.release import Action, Release, ZoneAdapter, tampered
from kiban.errors import ConcurrentRelease, NoSuchRelease, NotEarned
from kiban.release.ledger import found, history, in_force, last_seen, promote, rollback, withdraw
from kiban.testing import MemoryLedger

BASE = Release("qwen@1", None, None, None, "e5", "e" * 64, 1, "p1", None)
NOTHING = Evaluation("c", {}, (), 0, 0, 0.0)
PASSED = Verdict(Outcome.PASS, ("Better.",), NOTHING, embedder_earned=True, adapter_earned=True)


def adapted(name: str) -> Release:
    return replace(
        BASE, adapter=name, adapter_path=f"/shelf/{name}", adapter_sha256=name, curriculum_sha256=f"of {name}"
    )


def reranked(name: str) -> Release:
    return replace(
        BASE, reranker=f"/shelf/{name}", reranker_sha256=name, curriculum_sha256=f"of reranker {name}"
    )


def put(ledger: MemoryLedger, release: Release, verdict: Verdict = PASSED) -> None:
    promote(ledger, release, verdict, actor="flow", evidence="report.html", seen=last_seen(ledger))


@pytest.fixture
def ledger() -> MemoryLedger:
    founded = MemoryLedger()
    found(founded, BASE, "boot")
    return founded


def test_a_release_keeps_the_id_it_was_given_before_releases_could_hold_more() -> None:
    assert BASE.id == "a215ba0ab58e"
    zone = ZoneAdapter(("hr",), "hr@1", "/shelf/hr@1", "h" * 64, "c" * 64)
    assert len({BASE.id, replace(BASE, zones=(zone,)).id, replace(BASE, reranker_sha256="r" * 64).id}) == 3


def test_an_empty_ledger_has_no_release_in_force() -> None:
    with pytest.raises(NoSuchRelease):
        in_force(MemoryLedger())


def test_founding_twice_founds_once(ledger: MemoryLedger) -> None:
    found(ledger, BASE, "boot")
    assert in_force(ledger) == BASE
    assert len(ledger.entries()) == 1


def test_learnt_weights_cannot_found_a_house() -> None:
    with pytest.raises(NotEarned):
        found(MemoryLedger(), adapted("a"), "boot")
    with pytest.raises(NotEarned):
        found(MemoryLedger(), replace(BASE, reranker="/shelf/a"), "boot")


def test_a_passed_candidate_is_in_force_and_its_reasons_are_kept(ledger: MemoryLedger) -> None:
    put(ledger, adapted("a"))
    assert in_force(ledger) == adapted("a")
    entry, _ = history(ledger)[-1]
    assert (entry.action, entry.reason, entry.evidence) == (Action.PROMOTED, "Better.", "report.html")


def test_promoting_again_what_is_in_force_writes_nothing(ledger: MemoryLedger) -> None:
    put(ledger, adapted("a"))
    put(ledger, adapted("a"))
    assert len(ledger.entries()) == 2


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.CANNOT_TELL])
def test_only_a_pass_promotes(ledger: MemoryLedger, outcome: Outcome) -> None:
    with pytest.raises(NotEarned, match=str(outcome)):
        put(ledger, adapted("a"), replace(PASSED, outcome=outcome))
    assert in_force(ledger) == BASE


def test_a_part_that_did_not_earn_its_place_does_not_travel_with_one_that_did(ledger: MemoryLedger) -> None:
    with pytest.raises(NotEarned, match="adapter"):
        put(ledger, adapted("a"), replace(PASSED, adapter_earned=False))
    with pytest.raises(NotEarned, match="embedder"):
        put(ledger, replace(BASE, embedder_sha256="f" * 64), replace(PASSED, embedder_earned=False))
    with pytest.raises(NotEarned, match="reranker"):
        put(ledger, reranked("a"), PASSED)


def test_of_two_who_saw_the_same_entry_one_promotes(ledger: MemoryLedger) -> None:
    seen = last_seen(ledger)

    def attempt(name: str) -> str:
        try:
            promote(ledger, adapted(name), PASSED, actor=name, evidence="", seen=seen)
        except ConcurrentRelease:
            return "refused"
        return name

    with ThreadPoolExecutor(8) as people:
        results = list(people.map(attempt, "abcdefgh"))
    assert results.count("refused") == 7
    assert in_force(ledger).adapter in results


def test_a_rollback_returns_to_the_release_before(ledger: MemoryLedger) -> None:
    put(ledger, adapted("a"))
    put(ledger, adapted("b"))
    rollback(ledger, actor="ops", reason="odd answers")
    assert in_force(ledger) == adapted("a")
    rollback(ledger, actor="ops", reason="still odd")
    assert in_force(ledger) == BASE
    with pytest.raises(NoSuchRelease):
        rollback(ledger, actor="ops", reason="further")


def test_a_release_somebody_rolled_back_from_does_not_return_by_itself(ledger: MemoryLedger) -> None:
    put(ledger, adapted("a"))
    put(ledger, adapted("b"))
    rollback(ledger, actor="ops", reason="b is bad")
    ledger.taint("of a", "rules.md")
    assert in_force(ledger) == BASE


def test_deleting_a_document_withdraws_at_once_without_any_entry(ledger: MemoryLedger) -> None:
    put(ledger, adapted("a"))
    put(ledger, adapted("b"))
    ledger.taint("of b", "hr/salaries.xlsx")
    assert in_force(ledger) == adapted("a")
    assert len(ledger.entries()) == 3
    ledger.taint("of a", "hr/salaries.xlsx")
    assert in_force(ledger) == BASE


def test_a_reranker_that_earned_its_place_is_withdrawn_with_what_it_saw(ledger: MemoryLedger) -> None:
    put(ledger, reranked("a"), replace(PASSED, reranker_earned=True))
    assert in_force(ledger).reranker_sha256 == "a"
    ledger.taint("of reranker a", "rules.md")
    assert in_force(ledger) == BASE


def test_a_release_without_a_reranker_may_follow_one_with_it(ledger: MemoryLedger) -> None:
    put(ledger, reranked("a"), replace(PASSED, reranker_earned=True))
    put(ledger, adapted("b"))
    assert in_force(ledger).reranker is None


def test_withdrawing_writes_down_once_what_has_already_happened(ledger: MemoryLedger) -> None:
    put(ledger, adapted("a"))
    assert withdraw(ledger, actor="tend") is None
    ledger.taint("of a", "hr/salaries.xlsx")
    entry = withdraw(ledger, actor="tend")
    assert entry is not None
    assert (entry.action, entry.release_id) == (Action.WITHDRAWN, BASE.id)
    assert "hr/salaries.xlsx" in entry.reason
    assert withdraw(ledger, actor="tend") is None
    assert in_force(ledger) == BASE


def test_a_withdrawn_release_does_not_return_when_its_document_does(ledger: MemoryLedger) -> None:
    put(ledger, adapted("a"))
    ledger.taint("of a", "rules.md")
    withdraw(ledger, actor="tend")
    ledger._tainted.clear()
    assert in_force(ledger) == BASE


def test_weights_whose_document_went_while_they_were_judged_are_not_promoted(ledger: MemoryLedger) -> None:
    ledger.taint("of a", "rules.md")
    with pytest.raises(NotEarned, match=r"rules\.md"):
        put(ledger, adapted("a"))


def test_an_edited_dropped_or_moved_entry_is_detected(ledger: MemoryLedger) -> None:
    for name in "abc":
        put(ledger, adapted(name))
    whole = ledger.entries()
    assert tampered(whole) is None
    assert tampered([whole[0], replace(whole[1], actor="nobody"), *whole[2:]]) == 2
    assert tampered([whole[0], *whole[2:]]) == 2
    assert tampered([whole[0], whole[2], whole[1], whole[3]]) == 2
