"""A4, A5, A6 and A9: ways around row-level security, and text beside the answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg

from kiban.backends.postgres import posture
from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.schema import migrate
from kiban.bench.attacks import Figure
from kiban.bench.attacks.company import Company, company
from kiban.bench.attacks.stage import Stage
from kiban.domain.access import EVERYONE, Principal
from kiban.errors import KibanError, UnsafeRole

# After the function of Postgres' own suite for row-level security: it shows every value it is called on.
F_LEAK = """
create or replace function public.f_leak(text) returns boolean language plpgsql cost 0.0000001 as
$$ begin raise notice '%', $1; return true; end $$
"""
PREDICATES = (
    "select count(*) from kiban.chunk where public.f_leak(original)",
    "select count(*) from kiban.document where public.f_leak(title)",
    "select count(*) from kiban.posting where public.f_leak(term)",
    "select count(*) from kiban.term_tally where public.f_leak(term)",
    "select count(*) from kiban.zone where public.f_leak(readers::text)",
    "select count(*) from kiban.posting join kiban.chunk c on c.id = chunk_id where public.f_leak(original)",
)
CREATING = (
    "create function public.mine() returns int language sql as 'select 1'",
    "create function kiban.mine() returns int language sql as 'select 1'",
    "create temporary table mine (i int)",
    "create view public.mine as select 1",
)
POSTURES = {
    "superuser": ("alter role kiban_reader superuser", "alter role kiban_reader nosuperuser"),
    "BYPASSRLS": ("alter role kiban_reader bypassrls", "alter role kiban_reader nobypassrls"),
    "owner": (
        "alter table kiban.chunk owner to kiban_reader",
        "alter table kiban.chunk owner to kiban_owner",
    ),
    "NOINHERIT member": (
        "grant kiban_owner to kiban_reader with inherit false",
        "revoke kiban_owner from kiban_reader",
    ),
    "row security off": (
        "alter table kiban.embedding disable row level security",
        "alter table kiban.embedding enable row level security",
    ),
    "FORCE missing": (
        "alter table kiban.posting no force row level security",
        "alter table kiban.posting force row level security",
    ),
    "policy dropped": ("drop policy readers on kiban.document", ""),
}
REQUESTS = 10_000


def leaking_predicate(stage: Stage) -> Figure:
    """A4: a function that shows whatever it is called on, in queries of the role that reads."""
    staged = company(stage)
    who = Principal("adversary", frozenset({"group00"}))
    codes = [fact.code for fact in staged.facts if not who.may_read(fact.audience)]
    shown: list[str] = []
    with _admin(stage) as admin:
        admin.execute(F_LEAK)
        with staged.postgres.reading(who.groups | {EVERYONE}) as tx:
            tx.add_notice_handler(lambda notice: shown.append(notice.message_primary or ""))
            for query in PREDICATES:
                tx.execute(query.encode())
        admin.execute("drop function public.f_leak")
    leaked = sum(any(code in value for code in codes) for value in shown)
    created = sum(_may(stage, statement) for statement in CREATING)
    return Figure(
        "A4",
        "f_leak predicate",
        f"{leaked} forbidden values seen, {created} things created",
        "0, 0",
        leaked == created == 0 and bool(shown),
        len(shown) + len(CREATING),
        f"{len(shown):,} permitted values seen in {len(PREDICATES)} queries",
    )


def role_posture(stage: Stage) -> Figure:
    """A5: would we answer as a role from which row-level security hides nothing?"""
    company(stage)
    refused = []
    with _admin(stage) as admin:
        for name, (breaking, mending) in POSTURES.items():
            admin.execute(breaking.encode())
            try:
                with psycopg.connect(stage.postgres.dsn("kiban_reader")) as reader:
                    posture.check(reader)
            except UnsafeRole:
                refused.append(name)
            if mending:
                admin.execute(mending.encode())
            migrate(stage.postgres.dsn("postgres"), stage.postgres.passwords)
    with psycopg.connect(stage.postgres.dsn("kiban_reader")) as reader:
        posture.check(reader)  # and as it should be, it is let in
    return Figure(
        "A5",
        "role posture",
        f"refused {len(refused)} of {len(POSTURES)}",
        f"{len(POSTURES)} of {len(POSTURES)}",
        len(refused) == len(POSTURES),
        len(POSTURES),
        ", ".join(refused),
    )


def stale_identity(stage: Stage) -> Figure:
    """A6: no identity, an empty one, the previous request's, and many at once on few connections."""
    staged = company(stage)
    server = stage.postgres
    pool = Postgres(server.dsn("kiban_writer"), server.dsn("kiban_reader"), connections=3)
    crossings = rows = 0
    try:
        for groups in (None, "", "{}"):
            with psycopg.connect(server.dsn("kiban_reader")) as reader:
                if groups is not None:
                    reader.execute("select set_config('kiban.groups', %s, false)", [groups])
                rows += sum(_count(reader, table) for table in posture.GUARDED)
        for _ in range(100):
            try:
                with pool.reading(["group00", EVERYONE]) as tx:
                    tx.execute("select 1 / 0")
            except psycopg.errors.DivisionByZero:
                pass
            with pool.reading([]) as tx:
                rows += _count(tx, "chunk")
        requests = stage.size(REQUESTS, 1000)
        with ThreadPoolExecutor(12) as askers:
            crossings = sum(askers.map(lambda number: _crossed(staged, pool, number), range(requests)))
    finally:
        pool.close()
    return Figure(
        "A6",
        "unset or stale identity",
        f"{rows} rows, {crossings} crossings",
        "0, 0",
        rows == crossings == 0,
        requests + 103,
    )


def side_text(stage: Stage) -> Figure:
    """A9: titles, counts, statistics, errors and the server's log."""
    staged, found, looked = company(stage), 0, 0
    for who in staged.people:
        codes = [fact.code for fact in staged.facts if not who.may_read(fact.audience)]
        for text in _texts(staged, who):
            looked += 1
            found += any(code in text for code in codes)
    log = stage.postgres.log.read_text(errors="replace")
    logged = sum(fact.code in log or fact.text in log for fact in staged.facts)
    return Figure(
        "A9",
        "side text",
        f"{found} strings found, {logged} facts in the server's log",
        "0, 0",
        found == logged == 0,
        looked + len(staged.facts),
    )


def _texts(staged: Company, who: Principal) -> Iterator[str]:
    """Yield whatever a person can be told beside passages that answer."""
    documents = staged.search.documents(who)
    yield from (f"{document.uri} {document.title} {document.reason}" for document in documents)
    yield from (f"{passage.title} {passage.place}" for passage in staged.search.browse(who))
    for table in ("zone", "zone_tally", "term_tally", "graph", "posting"):
        with staged.postgres.reading(who.groups | {EVERYONE}) as tx:
            yield from map(str, tx.execute(f"select * from kiban.{table}".encode()))
    wrong: list[Callable[[], object]] = [
        lambda: staged.near(who, [1.0], exact=True),
        lambda: staged.near(who, [float("nan")] * staged.embedder.dimensions, exact=False),
        lambda: staged.search.matching(who, ["\0", *(fact.code for fact in staged.facts)], -1),
    ]
    for attempt in wrong:
        try:
            yield str(attempt())
        except (psycopg.Error, KibanError) as error:
            yield f"{error} {getattr(getattr(error, 'diag', None), 'message_detail', '')}"


def _crossed(staged: Company, pool: Postgres, number: int) -> int:
    """Count codes a request saw that were not for the one who asked."""
    who = staged.people[number % len(staged.people)]
    codes = {fact.text for fact in staged.facts if not who.may_read(fact.audience)}
    with pool.reading(who.groups | {EVERYONE}) as tx:
        seen = itertools.chain(
            tx.execute("select original from kiban.chunk where original like '%%バインダー%%'"),
            tx.execute("select title from kiban.document where title like 'fact%%'"),
        )
        return sum(text in codes for (text,) in seen)


def _count(tx: psycopg.Connection[tuple[object, ...]], table: str) -> int:
    return tx.execute(f"select from kiban.{table}".encode()).rowcount


def _may(stage: Stage, statement: str) -> bool:
    with psycopg.connect(stage.postgres.dsn("kiban_reader")) as reader:
        try:
            reader.execute(statement.encode())
        except psycopg.errors.InsufficientPrivilege:
            return False
        reader.rollback()
        return True


@contextmanager
def _admin(stage: Stage) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(stage.postgres.dsn("postgres"), autocommit=True) as admin:
        yield admin
