"""A replica answers, but never from before somebody lost a permission."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.schema import migrate
from kiban.backends.postgres.search import PostgresDirectory, PostgresSearch
from kiban.domain.access import Audience, Principal
from kiban.testing import arrival
from tests.conftest import find_free_port

AOI = Principal("aoi", frozenset({"hr"}))


@dataclass(frozen=True)
class Pair:
    primary: EmbeddedPostgres
    replica: EmbeddedPostgres
    postgres: Postgres

    def pause(self) -> None:
        self._tell("select pg_wal_replay_pause()")
        until(lambda: self._tell("select pg_get_wal_replay_pause_state()") == "paused")

    def resume(self) -> None:
        self._tell("select pg_wal_replay_resume()")

    def answers_from_replica(self) -> bool:
        with self.postgres.reading([]) as tx:
            return tx.execute("select pg_is_in_recovery()").fetchone() == (True,)

    def _tell(self, query: str) -> object:
        with psycopg.connect(self.replica.dsn("postgres"), autocommit=True) as admin:
            return (admin.execute(query.encode()).fetchone() or (None,))[0]


def until(true: Callable[[], bool]) -> None:
    for _ in range(200):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it never came true")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    primary, replica = (
        EmbeddedPostgres(tmp_path / name, find_free_port(), durable=False, memory_mb=64)
        for name in ("primary", "replica")
    )
    try:
        primary.start()
        migrate(primary.dsn("postgres"), primary.passwords)
        replica.follow(primary)
        postgres = Postgres(
            primary.dsn("kiban_writer"),
            primary.dsn("kiban_reader"),
            replica_dsn=replica.dsn("kiban_reader"),
        )
        yield Pair(primary, replica, postgres)
        postgres.close()
    finally:
        replica.wipe()
        primary.wipe()


def test_what_a_replica_has_not_heard_of_is_read_from_the_primary(pair: Pair) -> None:
    library, search = PostgresLibrary(pair.postgres), PostgresSearch(pair.postgres)
    directory = PostgresDirectory(pair.postgres)
    arrived = arrival("a.md", "the blue binder", readers=["hr"])
    library.put("files", [arrived], {})
    library.set_memberships("files", {"aoi": frozenset({"hr"})})
    until(pair.answers_from_replica)
    assert len(search.browse(AOI)) == 1 and directory.groups_of("aoi") == {"hr"}

    pair.pause()
    assert pair.answers_from_replica()  # nothing has changed that it has not heard of
    library.move_audience("files", replace(arrived.file, audience=Audience(frozenset({"lab"}))))
    assert search.browse(AOI) == search.matching(AOI, ["blue"], 5) == []
    assert not pair.answers_from_replica()
    pair.resume()
    until(pair.answers_from_replica)
    assert search.browse(AOI) == []

    pair.pause()
    library.set_memberships("files", {})
    assert directory.groups_of("aoi") == frozenset()
    pair.resume()
    until(pair.answers_from_replica)

    pair.pause()
    library.delete("files", ["a.md"])
    assert search.browse(Principal("ken", frozenset({"lab"}))) == []
    library.tend_tallies()  # adding up the changes does not hide one
    assert not pair.answers_from_replica()
    pair.resume()
    until(pair.answers_from_replica)

    pair.replica.stop()
    assert search.browse(AOI) == []  # the primary alone answers
