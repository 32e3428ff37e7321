"""What is stored is stored whole, and a Postgres in trouble is called by its name."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from threading import Barrier, Thread
from typing import Any, overload

import psutil
import psycopg
import pytest

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.search import PostgresSearch
from kiban.domain.access import Principal
from kiban.errors import PartUnavailable
from kiban.ports import Vector
from kiban.testing import HashEmbedder, arrival

Admin = psycopg.Connection[tuple[Any, ...]]
SOMEONE = Principal("someone", frozenset())
EMBEDDER = HashEmbedder()

# Stores a document, but stops for ever where the vectors are about to be copied.
STUCK = """
import sys, time
from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.library import PostgresLibrary
from kiban.testing import arrival

class Stuck(list):
    def __iter__(self):
        yield [1.0] * 64
        print("in the middle", flush=True)
        time.sleep(60)

library = PostgresLibrary(Postgres(*sys.argv[1:3]))
library.put("files", [arrival("a.md", "new one", "new two")], {int(sys.argv[3]): Stuck()})
"""


@pytest.fixture
def library(postgres: Postgres) -> PostgresLibrary:
    return PostgresLibrary(postgres)


def begin(library: PostgresLibrary) -> int:
    return library.add_generation("hash", "0", EMBEDDER.dimensions, "words-1", "whole")


def test_a_process_killed_while_it_stores_leaves_the_old_version_whole(
    library: PostgresLibrary, postgres: Postgres, postgres_server: EmbeddedPostgres
) -> None:
    generation = begin(library)
    library.put("files", [arrival("a.md", "old")], {generation: EMBEDDER.passages(["old"])})
    dsns = (postgres_server.dsn("kiban_writer"), postgres_server.dsn("kiban_reader"))
    with subprocess.Popen(
        [sys.executable, "-c", STUCK, *dsns, str(generation)], stdout=subprocess.PIPE, text=True
    ) as storing:
        assert storing.stdout is not None
        assert storing.stdout.readline() == "in the middle\n"
        storing.send_signal(signal.SIGKILL)

    search = PostgresSearch(postgres)
    assert [passage.original for passage in search.browse(SOMEONE)] == ["old"]
    assert search.matching(SOMEONE, ["new"], 10) == []
    assert [document.version for document in library.documents()] == [1]

    library.put("files", [arrival("a.md", "new")], {generation: EMBEDDER.passages(["new"])})
    assert [passage.original for passage in search.browse(SOMEONE)] == ["new"]


class CutOff(Sequence[Vector]):
    """Vectors whose reading ends the session that stores them."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    def __len__(self) -> int:
        return 2

    @overload
    def __getitem__(self, number: int) -> Vector: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Vector]: ...
    def __getitem__(self, number: int | slice) -> Vector | Sequence[Vector]:
        raise IndexError(number)

    def __iter__(self) -> Iterator[Vector]:
        yield from EMBEDDER.passages(["one"])
        self._admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'kiban_writer'"
        )
        yield from EMBEDDER.passages(["two"])


def test_a_connection_lost_while_storing_names_postgres_and_the_next_attempt_works(
    library: PostgresLibrary, postgres: Postgres, admin: Admin
) -> None:
    generation = begin(library)
    arrived = arrival("a.md", "one", "two")
    with pytest.raises(PartUnavailable, match=r"Postgres at 127\.0\.0\.1"):
        library.put("files", [arrived], {generation: CutOff(admin)})
    assert library.documents() == PostgresSearch(postgres).browse(SOMEONE) == []
    library.put("files", [arrived], {generation: EMBEDDER.passages(["one", "two"])})
    assert PostgresSearch(postgres).visible_chunks(SOMEONE) == 2


def test_what_postgres_cannot_hold_is_replaced_and_spans_stay(
    library: PostgresLibrary, postgres: Postgres
) -> None:
    library.put("files", [arrival("a.md", "a\0b\udc80c")], {})
    (passage,) = PostgresSearch(postgres).browse(SOMEONE)
    assert passage.original == "a\ufffdb\ufffdc"
    assert passage.span.end == 5


def test_two_who_store_the_same_source_at_once_do_not_hinder_each_other(
    library: PostgresLibrary, postgres: Postgres
) -> None:
    uris = [f"{number}.md" for number in range(20)]
    start = Barrier(2)

    def store(order: Sequence[str]) -> None:
        start.wait()
        for _ in range(3):
            library.put("files", [arrival(uri, f"text of {uri}") for uri in order], {})

    people = [Thread(target=store, args=(order,)) for order in (uris, uris[::-1])]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert len(library.documents()) == PostgresSearch(postgres).visible_chunks(SOMEONE) == 20


def test_a_postgres_that_is_not_there_is_named(free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kiban.backends.postgres.connect.PATIENCE", 0.5)
    nowhere = f"postgresql://kiban_reader:x@127.0.0.1:{free_port}/kiban"
    postgres = Postgres(nowhere, nowhere)
    with pytest.raises(PartUnavailable, match=f"Postgres at 127.0.0.1:{free_port}"):
        PostgresSearch(postgres).visible_chunks(SOMEONE)
    postgres.close()


def test_connections_that_lay_idle_while_the_server_restarted_are_not_handed_out(
    library: PostgresLibrary, postgres: Postgres, admin: Admin
) -> None:
    assert library.documents() == PostgresSearch(postgres).browse(SOMEONE) == []
    theirs = "from pg_stat_activity where usename in ('kiban_writer', 'kiban_reader')"
    gone = [pid for (pid, _) in admin.execute(f"select pid, pg_terminate_backend(pid) {theirs}").fetchall()]
    assert gone
    while any(map(psutil.pid_exists, gone)):  # they end in their own time
        time.sleep(0.01)
    assert library.documents() == PostgresSearch(postgres).browse(SOMEONE) == []
