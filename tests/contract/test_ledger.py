"""The ledger keeps its word, in memory and in Postgres alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.ledger import PostgresLedger
from kiban.domain.access import Audience
from kiban.domain.learning import Curriculum
from kiban.domain.release import Action, LedgerEntry, Release, ZoneAdapter, tampered
from kiban.errors import ConcurrentRelease, NoSuchRelease
from kiban.ports import Ledger
from kiban.testing import MemoryLedger

BASE = Release("qwen", None, None, None, "/models/e5", "e" * 64, 1, "prompt-1", None)
EMPTY = Curriculum(Audience(frozenset({"everyone"})), (), (), "prompt-1", seed=7)


@pytest.fixture(params=["memory", "postgres"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    if request.param == "memory":
        return MemoryLedger()
    postgres: Postgres = request.getfixturevalue("postgres")
    return PostgresLedger(postgres)


def write(ledger: Ledger, after: int, release: Release = BASE, reason: str = "理由") -> LedgerEntry:
    action = Action.PROMOTED if after else Action.FOUNDED
    return ledger.append(
        after=after, actor="aoi", action=action, release=release, reason=reason, evidence="report.html"
    )


def test_what_was_written_is_read_back_in_order_and_intact(ledger: Ledger) -> None:
    assert ledger.entries() == []
    zone = ZoneAdapter(("hr", "legal"), "hr@1", "/shelf/hr@1", "h" * 64, "c" * 64)
    other = replace(BASE, prompt_version="prompt-2", zones=(zone,))
    written = [write(ledger, 0), write(ledger, 1, other), write(ledger, 2)]
    assert ledger.entries() == written
    assert [entry.seq for entry in written] == [1, 2, 3]
    assert [ledger.release(entry.release_id) for entry in written] == [BASE, other, BASE]
    assert tampered(ledger.entries()) is None


def test_a_second_entry_after_the_same_one_is_refused(ledger: Ledger) -> None:
    write(ledger, 0)
    write(ledger, 1)
    for seen in (0, 1, 3):
        with pytest.raises(ConcurrentRelease):
            write(ledger, seen)
    assert len(ledger.entries()) == 2


def test_an_unknown_release_is_not_invented(ledger: Ledger) -> None:
    with pytest.raises(NoSuchRelease):
        ledger.release("0123456789ab")


def test_a_curriculum_is_kept_once_and_its_release_refers_to_it(ledger: Ledger) -> None:
    ledger.keep_curriculum(EMPTY)
    ledger.keep_curriculum(EMPTY)
    learnt = replace(BASE, adapter="a", curriculum_sha256=EMPTY.sha256)
    write(ledger, 0)
    write(ledger, 1, learnt)
    assert ledger.release(learnt.id) == learnt
    assert ledger.tainted() == {}


def test_a_release_that_answered_without_an_entry_is_remembered(ledger: Ledger) -> None:
    part = replace(BASE, prompt_version="prompt-2")
    ledger.keep_release(part)
    ledger.keep_release(part)
    assert ledger.release(part.id) == part
    assert ledger.entries() == []
    write(ledger, 0, part)
    assert ledger.release(part.id) == part
