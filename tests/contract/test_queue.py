"""Documents are lent to workers, and come back whatever becomes of those: in memory and in Postgres alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.queue import PostgresQueue
from kiban.domain.access import Audience
from kiban.domain.document import Document, DocumentState, Lease, Listed
from kiban.ports import Library, Queue
from kiban.testing import MemoryLibrary, MemoryQueue, arrival

ALL = Audience(frozenset({"everyone"}))
HR = Audience(frozenset({"hr"}))


@dataclass(frozen=True)
class Desk:
    library: Library
    queue: Queue
    wait: Callable[[float], None]

    def list_(self, *entries: Listed) -> None:
        self.queue.record("files", entries)
        self.queue.surveyed("files", "after")

    def lend(self, count: int = 10, seconds: float = 60) -> Lease:
        lease = self.queue.lease("files", "worker", count, seconds)
        assert lease is not None
        return lease

    def read(self, lease: Lease, text: str = "読めた。") -> frozenset[str]:
        arrivals = [
            replace(arrived, file=each.listed.fetched(Path(), 1, arrived.file.sha256))
            for each in lease.leased
            for arrived in [arrival(each.listed.uri, text)]
        ]
        return self.library.put("files", arrivals, {}, lease.id)

    def document(self, uri: str = "a.md") -> Document:
        return {one.uri: one for one in self.library.documents("files")}[uri]


@pytest.fixture(params=["memory", "postgres"])
def desk(request: pytest.FixtureRequest) -> Desk:
    if request.param == "memory":
        memory = MemoryLibrary()
        queue = MemoryQueue(memory)
        return Desk(memory, queue, queue.wait)
    postgres: Postgres = request.getfixturevalue("postgres")
    admin: psycopg.Connection[Any] = request.getfixturevalue("admin")

    def wait(seconds: float) -> None:
        admin.execute(
            "update kiban.document set due = due - %s * interval '1 second' where due < 'infinity'", [seconds]
        )

    return Desk(PostgresLibrary(postgres), PostgresQueue(postgres), wait)


def entry(uri: str = "a.md", tag: str = "1", audience: Audience = ALL, **more: Any) -> Listed:
    return Listed(uri, tag, 10, audience, **more)


def test_what_is_listed_waits_is_read_and_is_ready(desk: Desk) -> None:
    desk.list_(entry())
    assert desk.document().state is DocumentState.WAITING
    lease = desk.lend()
    assert desk.document().state is DocumentState.READING
    assert [(each.listed, each.version, each.sha256) for each in lease.leased] == [(entry(), 0, "")]
    assert desk.read(lease) == {"a.md"}
    assert (desk.document().state, desk.document().version) == (DocumentState.READY, 1)
    assert desk.queue.pending("files") is None


def test_new_documents_are_held_until_the_listing_is_whole(desk: Desk) -> None:
    desk.queue.record("files", [entry()])
    assert desk.queue.lease("files", "worker", 10, 60) is None
    desk.queue.surveyed("files", "after")
    assert desk.queue.cursor("files") == "after"
    assert desk.lend().leased


def test_no_document_is_lent_twice(desk: Desk) -> None:
    desk.list_(*(entry(f"{number}.md") for number in range(5)))
    one, two = desk.lend(3), desk.lend(3)
    uris = [each.listed.uri for lease in (one, two) for each in lease.leased]
    assert sorted(uris) == [f"{number}.md" for number in range(5)]
    assert desk.queue.lease("files", "worker", 3, 60) is None
    assert (desk.queue.pending("files") or 0) > 0


def test_new_readers_are_not_shown_what_a_document_said_before(desk: Desk) -> None:
    """Redacted, then opened: who may read the new text was never to read the old."""
    desk.list_(
        entry("a.md", "1", HR), entry("b.md", "1", HR), entry("c.md", "1", HR), entry("d.md", "1", ALL)
    )
    desk.read(desk.lend())
    desk.list_(
        entry("a.md", "2", ALL), entry("b.md", "2", HR), entry("c.md", "1", ALL), entry("d.md", "2", HR)
    )
    desk.list_(entry("b.md", "2", ALL))  # opened while its new content still waits
    answers = {each.listed.uri: bool(each.sha256) for each in desk.lend().leased}
    assert answers == {"a.md": False, "b.md": False, "d.md": True}


def test_new_readers_are_not_shown_what_a_renamed_document_said(desk: Desk) -> None:
    desk.list_(*(entry(f"hr/{name}", "1", HR) for name in "ac"), entry("all/b", "1", ALL))
    desk.read(desk.lend())
    moved = entry("all/a", "2", ALL), entry("hr/b", "2", HR), entry("all/c", "1", ALL)  # c: nothing else
    desk.queue.record("files", moved)
    for old, new in (("hr/a", "all/a"), ("all/b", "hr/b"), ("hr/c", "all/c")):
        desk.queue.rename("files", old, new, same=False)
    desk.queue.surveyed("files", "after")
    answers = {each.listed.uri: bool(each.sha256) for each in desk.lend().leased}
    assert answers == {"all/a": False, "hr/b": True}
    assert desk.document("all/c").state is DocumentState.READY


def test_a_lease_that_expires_is_counted_and_its_worker_stores_nothing_more(desk: Desk) -> None:
    desk.list_(entry())
    late = desk.lend()
    desk.wait(61)
    lease = desk.lend()
    assert desk.read(late) == frozenset()
    assert desk.read(lease) == {"a.md"}


def test_a_lease_that_is_extended_does_not_expire(desk: Desk) -> None:
    desk.list_(entry())
    lease = desk.lend()
    desk.wait(50)
    desk.queue.extend(lease, 60)
    desk.wait(50)
    assert desk.queue.lease("files", "another", 10, 60) is None
    assert desk.read(lease) == {"a.md"}


def test_a_document_that_kills_its_workers_is_lent_alone_and_then_dead(desk: Desk) -> None:
    desk.list_(entry("a.md"), entry("b.md"))
    assert len(desk.lend().leased) == 2
    desk.wait(61)
    alone = desk.lend()
    assert len(alone.leased) == 1
    desk.queue.give_back(alone, died=True)
    for _ in range(9):
        lease = desk.queue.lease("files", "worker", 10, 60)
        if lease is None:
            break
        if lease.leased[0].listed.uri == "b.md":
            desk.read(lease)
        else:
            desk.queue.give_back(lease, died=True)
    assert (desk.document("a.md").state, desk.document("b.md").state) == ("dead", "ready")
    assert desk.document("a.md").reason == "its worker died 3 times"


def test_what_is_given_back_waits_uncounted(desk: Desk) -> None:
    desk.list_(entry())
    desk.queue.give_back(desk.lend())
    assert (desk.document().state, desk.document().reason) == (DocumentState.WAITING, "")


def test_failures_come_back_later_and_later_and_end(desk: Desk) -> None:
    desk.list_(entry())
    for state, pause in ((DocumentState.FAILED, 61), (DocumentState.FAILED, 301), (DocumentState.DEAD, 9999)):
        lease = desk.lend()
        desk.queue.fail(lease, lease.leased[0].listed.fetched(Path(), 1, "f" * 64), "damaged")
        assert (desk.document().state, desk.document().reason) == (state, "damaged")
        assert desk.queue.lease("files", "worker", 10, 60) is None
        desk.wait(pause)
    assert desk.queue.lease("files", "worker", 10, 60) is None
    assert desk.queue.retry(None) == 1
    assert desk.read(desk.lend()) == {"a.md"}


def test_content_that_changes_while_it_is_read_is_read_again(desk: Desk) -> None:
    desk.list_(entry())
    lease = desk.lend()
    desk.list_(entry(tag="2"))
    assert desk.read(lease) == frozenset()
    assert desk.lend().leased[0].listed.tag == "2"


def test_readers_narrowed_while_it_is_read_stay_narrowed(desk: Desk) -> None:
    desk.list_(entry())
    lease = desk.lend()
    desk.list_(entry(audience=HR))
    assert desk.read(lease) == {"a.md"}
    assert desk.document().audience == HR


def test_a_document_deleted_while_it_is_read_does_not_come_back(desk: Desk) -> None:
    desk.list_(entry())
    lease = desk.lend()
    desk.library.delete("files", ["a.md"])
    assert desk.read(lease) == frozenset()
    assert desk.library.documents() == []
    assert [(stone.uri, stone.version) for stone in desk.queue.tombstones()] == [("a.md", 0)]


@pytest.mark.parametrize("tag", ["1", "2"])
def test_an_identity_under_another_uri_is_the_same_document(desk: Desk, tag: str) -> None:
    desk.list_(entry(identity="7"))
    desk.read(desk.lend())
    before = desk.document()
    desk.queue.record("files", [entry("b.md", tag, HR, identity="7")])
    [(old, found, sha256)] = desk.queue.alike("files", ["a.md"])
    assert (old, found.uri, sha256) == ("a.md", "b.md", "")
    desk.queue.rename("files", "a.md", "b.md", same=False)
    after = desk.document("b.md")
    assert (after.id, after.version, after.audience, after.tag) == (before.id, 1, HR, tag)
    assert after.state == ("ready" if tag == "1" else "waiting")


def test_the_status_counts_by_source_and_state(desk: Desk) -> None:
    desk.list_(entry("a.md"), entry("b.md"))
    desk.read(desk.lend(1))
    desk.queue.surveyed("files", "", "much is gone")
    [status] = desk.queue.status()
    assert (status.source, status.states, status.refused) == (
        "files",
        {"ready": 1, "waiting": 1},
        "much is gone",
    )
    assert status.oldest.keys() == status.states.keys()
