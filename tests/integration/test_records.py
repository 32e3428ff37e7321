"""What was answered is written down, tied together, and let go only from its old end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.records import PostgresRecords
from kiban.backends.pseudonyms import Pseudonyms
from kiban.domain.access import Principal
from kiban.domain.question import Answer
from kiban.domain.record import Answered, Ending, Shown
from kiban.errors import PartUnavailable
from kiban.wiring.records import Asked, Records

WHAT = Answered("a" * 32, "q" * 32, "5f0c2e9ab714", (Shown(1, 2, 3), Shown(4, 1, 9)), 1, 0, Ending.ANSWERED)
Admin = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def records(postgres: Postgres) -> PostgresRecords:
    return PostgresRecords(postgres)


def test_lines_are_read_back_as_they_were_written(records: PostgresRecords) -> None:
    others = replace(WHAT, asker="b" * 32, shown=(), ending=Ending.LEFT)
    written = [records.keep(what) for what in (WHAT, others, WHAT)]
    assert list(records.kept()) == written
    assert [record.what for record in records.kept("b" * 32)] == [others]
    assert list(records.kept(since=written[2].at)) == written[2:]
    assert records.verify() is None


def test_many_writers_make_one_chain(records: PostgresRecords) -> None:
    with ThreadPoolExecutor(6) as people:
        list(people.map(lambda _: records.keep(WHAT), range(60)))
    assert [record.seq for record in records.kept()] == list(range(1, 61))
    assert records.verify() is None


@pytest.mark.parametrize(
    "tampering",
    [
        "update kiban.answer_record set release_id = 'another' where seq = 2",
        "update kiban.answer_record set shown = '[]' where seq = 2",
        "delete from kiban.answer_record where seq = 2",
        "truncate kiban.answer_record",
    ],
)
def test_what_was_written_cannot_be_changed_and_a_change_by_force_is_noticed(
    records: PostgresRecords, postgres: Postgres, admin: Admin, tampering: str
) -> None:
    for _ in range(4):
        records.keep(WHAT)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), postgres.writing() as tx:
        tx.execute(tampering)
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"), admin.transaction():
        admin.execute(tampering)
    if tampering.startswith("truncate"):
        return
    admin.execute("set session_replication_role = replica")
    admin.execute(tampering)
    assert records.verify() in (2, 3)


def test_only_the_oldest_lines_go_and_the_rest_stays_tied(records: PostgresRecords) -> None:
    written = [records.keep(WHAT) for _ in range(5)]
    assert records.forget(written[2].at) == 2
    assert list(records.kept()) == written[2:]
    assert records.verify() is None
    assert records.forget(datetime.now(UTC) + timedelta(days=1)) == 2  # the newest stays
    assert records.keep(WHAT).seq == 6
    assert records.verify() is None


def test_who_lets_go_of_lines_cannot_hide_the_next_one(records: PostgresRecords, admin: Admin) -> None:
    written = [records.keep(WHAT) for _ in range(4)]
    records.forget(written[1].at)
    admin.execute("set session_replication_role = replica")
    admin.execute("delete from kiban.answer_record where seq = 2")
    assert records.verify() == 3


def test_the_reader_sees_no_line(records: PostgresRecords, postgres: Postgres) -> None:
    records.keep(WHAT)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), postgres.reading(["everyone"]) as tx:
        tx.execute("select from kiban.answer_record")


def test_a_pseudonym_is_the_same_tomorrow_and_another_elsewhere(tmp_path: Path) -> None:
    here = Pseudonyms(tmp_path / "here")
    assert here.of("asker", "sato") == Pseudonyms(tmp_path / "here").of("asker", "sato")
    told = {
        here.of("asker", "sato"),
        here.of("asker", "mori"),
        here.of("question", "sato"),
        Pseudonyms(tmp_path / "elsewhere").of("asker", "sato"),
    }
    assert len(told) == 4
    assert (tmp_path / "here/pseudonyms.key").stat().st_mode & 0o777 == 0o600


@pytest.fixture
def office(records: PostgresRecords, tmp_path: Path) -> Records:
    furniture: Any = SimpleNamespace(records=records, pseudonyms=Pseudonyms(tmp_path))
    return Records(furniture)


SATO = Principal("sato", frozenset())
ASKED = Asked(SATO, "宿泊費は？", (), "5f0c2e9ab714")


async def answering(last: Answer | Exception, pause: float = 0) -> AsyncGenerator[str | Answer]:
    yield "11,000円"
    await asyncio.sleep(pause)
    if isinstance(last, Exception):
        raise last
    yield last


async def test_an_answer_ends_with_its_line_kept(office: Records) -> None:
    for abstained in (False, True):
        last = Answer("11,000円", (), (), abstained=abstained, release_id="base", refused_quotes=2)
        _ = [piece async for piece in office.follow(answering(last), ASKED)]
    told = [record.what for record in office.kept("sato")]
    assert [what.ending for what in told] == [Ending.ANSWERED, Ending.ABSTAINED]
    assert {(what.release_id, what.refused_quotes) for what in told} == {("base", 2)}
    assert not list(office.kept("mori"))
    assert not any("sato" in str(what) or "宿泊" in str(what) for what in told)


async def test_an_answer_that_fails_leaves_a_line(office: Records) -> None:
    with pytest.raises(PartUnavailable):
        _ = [piece async for piece in office.follow(answering(PartUnavailable("vLLM")), ASKED)]
    assert [record.what.ending for record in office.kept()] == [Ending.FAILED]


@pytest.mark.parametrize("how", ["closed", "cancelled"])
async def test_whoever_leaves_leaves_a_line(office: Records, how: str) -> None:
    begun = asyncio.Event()

    async def listen() -> None:
        last = Answer("", (), (), abstained=False, release_id="base")
        async with aclosing(office.follow(answering(last, pause=60), ASKED)) as pieces:
            async for _ in pieces:
                begun.set()
                if how == "closed":
                    return

    task = asyncio.create_task(listen())
    await begun.wait()
    if how == "cancelled":
        task.cancel()
    await asyncio.wait([task])
    assert [record.what.ending for record in office.kept()] == [Ending.LEFT]


async def test_an_answer_whose_line_cannot_be_kept_does_not_end(office: Records, postgres: Postgres) -> None:
    postgres.close()
    last = Answer("11,000円", (), (), abstained=False, release_id="base")
    pieces = office.follow(answering(last), ASKED)
    assert await anext(pieces) == "11,000円"
    with pytest.raises(PartUnavailable):
        await anext(pieces)
