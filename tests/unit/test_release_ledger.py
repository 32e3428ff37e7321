from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from kiban.domain.access import Audience
from kiban.domain.evidence import Evaluation, Outcome, Verdict
from kiban.domain.release import Action, Release, ZoneAdapter, tampered
from kiban.errors import ConcurrentRelease, NoSuchRelease, NotEarned
from kiban.release.ledger import (
    flip,
    flip_back,
    found,
    ground,
    history,
    in_force,
    last_seen,
    promote,
    rollback,
    withdraw,
)
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


# --- Zones ---


def with_zone(release: Release, group: str, number: int = 1) -> Release:
    name = f"{group}@{number}"
    return release.with_zone(ZoneAdapter((group,), name, f"/shelf/{name}", name, f"of {name}"))


def put_zone(ledger: MemoryLedger, group: str, number: int = 1) -> Release:
    release = with_zone(in_force(ledger), group, number)
    put(ledger, release, replace(PASSED, zone=Audience(frozenset({group}))))
    return release


@pytest.fixture
def zoned(ledger: MemoryLedger) -> MemoryLedger:
    """Give a ledger in which everyone, hr and lab have adapters, earned in this order."""
    put(ledger, adapted("a"))
    put_zone(ledger, "hr")
    put_zone(ledger, "lab")
    return ledger


def names(release: Release) -> list[str]:
    return [adapter.name for adapter in release.adapters]


def test_a_zones_adapter_joins_those_in_force(zoned: MemoryLedger) -> None:
    assert names(in_force(zoned)) == ["a", "hr@1", "lab@1"]
    put_zone(zoned, "hr", 2)
    assert names(in_force(zoned)) == ["a", "hr@2", "lab@1"]
    assert in_force(zoned).embedder == BASE.embedder


@pytest.mark.parametrize(
    ("tainted", "left"),
    [
        ({"of hr@1"}, ["a", "lab@1"]),
        ({"of hr@1", "of lab@1"}, ["a"]),
        ({"of a"}, ["hr@1", "lab@1"]),
        ({"of a", "of lab@1"}, ["hr@1"]),
        ({"of a", "of hr@1", "of lab@1"}, []),
    ],
)
def test_weights_go_alone_and_at_once(zoned: MemoryLedger, tainted: set[str], left: list[str]) -> None:
    before = zoned.entries()
    for curriculum in tainted:
        zoned.taint(curriculum, "gone.md")
    assert names(in_force(zoned)) == left
    assert zoned.entries() == before
    entry = withdraw(zoned, actor="tend")
    assert entry is not None and entry.release_id == in_force(zoned).id
    assert withdraw(zoned, actor="tend") is None
    assert names(in_force(zoned)) == left
    zoned._tainted.clear()
    assert names(in_force(zoned)) == left  # what was withdrawn does not return with its document


def test_a_withdrawal_names_the_weights_and_their_zone(zoned: MemoryLedger) -> None:
    zoned.taint("of lab@1", "recipe.md")
    entry = withdraw(zoned, actor="tend")
    assert entry is not None
    assert "adapter of zone lab" in entry.reason and "recipe.md" in entry.reason
    assert "hr" not in entry.reason


def test_one_rolls_back_from_what_stands_to_what_answered_before(zoned: MemoryLedger) -> None:
    rollback(zoned, actor="ops", reason="odd")
    assert names(in_force(zoned)) == ["a", "hr@1"]
    zoned.taint("of hr@1", "salaries.md")
    assert names(in_force(zoned)) == ["a"]
    rollback(zoned, actor="ops", reason="odder")
    assert in_force(zoned) == BASE
    with pytest.raises(NoSuchRelease):
        rollback(zoned, actor="ops", reason="further")


def test_one_rolls_back_from_a_withdrawal_too_but_not_to_what_was_withdrawn(zoned: MemoryLedger) -> None:
    zoned.taint("of hr@1", "salaries.md")
    withdraw(zoned, actor="tend")
    zoned._tainted.clear()
    assert names(in_force(zoned)) == ["a", "lab@1"]
    rollback(zoned, actor="ops", reason="odd")
    assert names(in_force(zoned)) == ["a"]


def test_an_adapter_of_another_base_model_or_prompt_does_not_outlive_it(ledger: MemoryLedger) -> None:
    newer = replace(adapted("a"), prompt_version="p2")
    put(ledger, newer)
    put_zone(ledger, "hr")
    ledger.taint("of a", "rules.md")
    assert in_force(ledger) == BASE


def test_a_verdict_about_one_zone_releases_nothing_elsewhere(ledger: MemoryLedger) -> None:
    about_hr = replace(PASSED, zone=Audience(frozenset({"hr"})))
    for release in (adapted("a"), with_zone(BASE, "lab"), with_zone(with_zone(BASE, "hr"), "lab")):
        with pytest.raises(NotEarned, match="verdict is about the zone of hr"):
            put(ledger, release, about_hr)
    with pytest.raises(NotEarned, match="about the zone of everyone"):
        put(ledger, with_zone(BASE, "hr"))
    put(ledger, with_zone(BASE, "hr"), about_hr)


def test_a_zones_weights_whose_document_went_meanwhile_are_not_promoted(ledger: MemoryLedger) -> None:
    ledger.taint("of hr@1", "salaries.md")
    with pytest.raises(NotEarned, match=r"salaries\.md"):
        put_zone(ledger, "hr")


def test_candidates_are_measured_against_what_no_zone_has_taught(zoned: MemoryLedger) -> None:
    assert ground(zoned) == BASE
    zoned.taint("of a", "rules.md")
    withdraw(zoned, actor="tend")
    assert names(in_force(zoned)) == ["hr@1", "lab@1"]
    assert ground(zoned) == BASE


def test_a_flip_takes_all_adapters_along_and_is_undone_with_them(zoned: MemoryLedger) -> None:
    standing = in_force(zoned)
    flip(zoned, replace(standing, generation=2), actor="ops", reason="r", evidence="", seen=last_seen(zoned))
    assert names(in_force(zoned)) == names(standing)
    zoned.taint("of hr@1", "salaries.md")
    assert (in_force(zoned).generation, names(in_force(zoned))) == (2, ["a", "lab@1"])
    flip_back(zoned, actor="ops", reason="r")
    assert (in_force(zoned).generation, names(in_force(zoned))) == (1, ["a", "lab@1"])


def moved(ledger: MemoryLedger) -> Verdict:
    """Return a pass of another base model over what is in force."""
    return Verdict(
        Outcome.PASS, ("As good, and lighter.",), NOTHING, base_earned=True, champion=in_force(ledger).id
    )


OTHER = replace(BASE, llm="another@2")


def test_another_base_model_has_to_earn_its_place(ledger: MemoryLedger) -> None:
    put(ledger, adapted("a"))
    with pytest.raises(NotEarned, match="base model did not"):
        put(ledger, OTHER, replace(PASSED, champion=in_force(ledger).id))
    assert in_force(ledger).adapter == "a"
    put(ledger, OTHER, moved(ledger))
    assert in_force(ledger) == OTHER
    assert rollback(ledger, actor="me", reason="slow").release_id == adapted("a").id


def test_another_base_model_brings_nothing_that_was_learnt_on_the_old_one(ledger: MemoryLedger) -> None:
    put(ledger, adapted("a"))
    with pytest.raises(NotEarned, match="does not move"):
        put(ledger, replace(adapted("a"), llm="another@2"), moved(ledger))


def test_a_verdict_against_another_champion_moves_no_base(ledger: MemoryLedger) -> None:
    earlier = moved(ledger)
    put(ledger, adapted("a"))
    with pytest.raises(NotEarned, match="in force now"):
        put(ledger, OTHER, earlier)


def test_what_was_learnt_on_another_base_falls_back_to_it_and_not_to_the_one_before(
    ledger: MemoryLedger,
) -> None:
    put(ledger, adapted("a"))
    put(ledger, OTHER, moved(ledger))
    put(ledger, replace(adapted("b"), llm="another@2"))
    ledger.taint("of b", "rules.md")
    assert in_force(ledger) == OTHER
    assert ground(ledger) == OTHER
