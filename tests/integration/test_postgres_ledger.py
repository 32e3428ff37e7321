"""The ledger in Postgres: one winner, nothing altered unseen, weights tainted by what their documents do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import psycopg
import pytest

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.ledger import PostgresLedger
from kiban.backends.postgres.library import PostgresLibrary
from kiban.domain.access import Audience
from kiban.domain.document import Document
from kiban.domain.learning import Curriculum, Lineage, TrainingPair
from kiban.domain.release import Action, LedgerEntry, Release
from kiban.errors import ConcurrentRelease, ReleaseError
from kiban.testing import arrival

Admin = psycopg.Connection[tuple[Any, ...]]
BASE = Release("qwen", None, None, None, "/models/e5", "e" * 64, 1, "prompt-1", None)


@pytest.fixture
def ledger(postgres: Postgres) -> PostgresLedger:
    return PostgresLedger(postgres)


def write(ledger: PostgresLedger, after: int, actor: str = "aoi") -> LedgerEntry:
    release = replace(BASE, prompt_version=f"prompt-{after % 2}")
    return ledger.append(
        after=after, actor=actor, action=Action.PROMOTED, release=release, reason="r", evidence=""
    )


def test_of_two_who_saw_the_same_entry_exactly_one_wins(ledger: PostgresLedger) -> None:
    def race(actor: str, after: int, start: Barrier) -> str | None:
        start.wait()
        try:
            return write(ledger, after, actor).actor
        except ConcurrentRelease:
            return None

    winners = []
    with ThreadPoolExecutor(2) as people:
        for round in range(25):
            start = Barrier(2)
            both = [people.submit(race, actor, round, start) for actor in ("aoi", "ken")]
            winners.append([actor for actor in (one.result() for one in both) if actor])
    assert all(len(won) == 1 for won in winners)
    assert [entry.actor for entry in ledger.entries()] == [won[0] for won in winners]
    assert ledger.verify() is None


@pytest.mark.parametrize(
    ("tampering", "broken"),
    [
        ("update kiban.ledger set actor = 'mallory' where seq = 2", 2),
        ("update kiban.ledger set at = at + interval '1 microsecond' where seq = 3", 3),
        ("delete from kiban.ledger where seq = 2", 2),
        ("delete from kiban.ledger where seq = 1", 1),
        ("update kiban.ledger set seq = 5 - seq where seq in (2, 3)", 2),
        ('update kiban.release set content = content || \'{"adapter": "evil"}\'', 1),
    ],
)
def test_what_a_superuser_alters_behind_the_trigger_is_detected(
    ledger: PostgresLedger, admin: Admin, tampering: str, broken: int
) -> None:
    for after in range(4):
        write(ledger, after)
    assert ledger.verify() is None
    admin.execute("set session_replication_role = replica")
    if "set seq" in tampering:  # by way of numbers that are free
        admin.execute("update kiban.ledger set seq = seq + 100 where seq in (2, 3)")
        tampering = "update kiban.ledger set seq = 105 - seq where seq > 100"
    admin.execute(tampering.encode())
    assert ledger.verify() == broken


def test_an_altered_release_is_not_given_out(
    ledger: PostgresLedger, postgres: Postgres, admin: Admin
) -> None:
    entry = write(ledger, 0)
    admin.execute('update kiban.release set content = content || \'{"adapter": "evil"}\'')
    with pytest.raises(ReleaseError, match="altered"):
        PostgresLedger(postgres).release(entry.release_id)


@pytest.mark.parametrize(
    "attempt", ["update kiban.ledger set actor = 'x'", "delete from kiban.ledger", "truncate kiban.ledger"]
)
def test_neither_the_writer_nor_the_owner_can_change_what_is_written(
    ledger: PostgresLedger, postgres_server: EmbeddedPostgres, admin: Admin, attempt: str
) -> None:
    write(ledger, 0)
    with psycopg.connect(postgres_server.dsn("kiban_writer")) as writer:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            writer.execute(attempt.encode())
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"), admin.transaction():
        admin.execute("set local role kiban_owner")
        admin.execute(attempt.encode())


@pytest.fixture
def library(postgres: Postgres) -> PostgresLibrary:
    return PostgresLibrary(postgres)


def learn_from(ledger: PostgresLedger, document: Document, readers: set[str]) -> Curriculum:
    lineage = Lineage(document.id, document.uri, document.version, document.sha256)
    audience = Audience(frozenset(readers))
    pair = TrainingPair("問い", "答え", (), (lineage,), audience)
    curriculum = Curriculum(audience, (), (pair,), "prompt-1", seed=7)
    ledger.keep_curriculum(curriculum)
    return curriculum


def test_weights_are_tainted_when_a_document_they_saw_is_deleted(
    ledger: PostgresLedger, library: PostgresLibrary
) -> None:
    library.put("files", [arrival("a.md", "text"), arrival("b.md", "text b")], {})
    first, second = (learn_from(ledger, document, {"everyone"}) for document in library.documents())
    assert ledger.tainted() == {}
    library.delete("files", ["a.md"])
    assert ledger.tainted() == {first.sha256: ("a.md",)}
    library.put("files", [arrival("a.md", "text")], {})  # another document by the same name
    assert ledger.tainted() == {first.sha256: ("a.md",)}
    library.delete("files", ["b.md"])
    assert ledger.tainted() == {first.sha256: ("a.md",), second.sha256: ("b.md",)}


@pytest.mark.parametrize(
    ("learnt_for", "readers_now", "tainted"),
    [
        ({"everyone"}, {"hr"}, True),
        ({"everyone"}, set(), True),
        ({"hr", "lab"}, {"hr"}, True),
        ({"hr"}, {"lab"}, True),
        ({"hr"}, {"hr", "lab"}, False),
        ({"hr"}, {"everyone"}, False),
        ({"everyone"}, {"everyone", "hr"}, False),
    ],
)
def test_weights_are_tainted_when_not_all_their_readers_may_still_read_a_document(
    ledger: PostgresLedger,
    library: PostgresLibrary,
    learnt_for: set[str],
    readers_now: set[str],
    tainted: bool,
) -> None:
    arrived = arrival("a.md", "text", readers=learnt_for)
    library.put("files", [arrived], {})
    curriculum = learn_from(ledger, library.documents()[0], learnt_for)
    assert ledger.tainted() == {}
    library.move_audience("files", replace(arrived.file, audience=Audience(frozenset(readers_now))))
    assert ledger.tainted() == ({curriculum.sha256: ("a.md",)} if tainted else {})
