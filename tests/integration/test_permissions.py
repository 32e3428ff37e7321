"""Nobody learns from the index what they may not read: not a passage, not a score, not an order."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.backends.postgres import posture
from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.schema import migrate
from kiban.backends.postgres.search import PostgresDirectory, PostgresSearch
from kiban.domain.access import EVERYONE, Audience, Principal
from kiban.domain.document import Arrival
from kiban.domain.question import Passage
from kiban.errors import UnsafeRole
from kiban.testing import HashEmbedder, WordTokenizer, arrival

Admin = psycopg.Connection[tuple[Any, ...]]

GROUPS = ("hr", "lab", "subsidiary")
PRINCIPALS = [
    Principal("nobody", frozenset()),
    *(Principal(group, frozenset({group})) for group in GROUPS),
    Principal("two", frozenset({"hr", "lab"})),
    Principal("ghost", frozenset({"hr2", "h", "HR", "*", "%", "hr,lab", '"hr"', "{hr}"})),
]
EMBEDDER, TOKENIZER = HashEmbedder(), WordTokenizer()


@dataclass(frozen=True)
class House:
    library: PostgresLibrary
    search: PostgresSearch
    generation: int  # that is asked
    cuts: dict[int, int]  # of each generation that there is

    def put(self, *arrivals: Arrival) -> None:
        """Store arrivals in every cut."""
        texts = [chunk.normalised for arrived in arrivals for chunk in arrived.chunks]
        self.library.put(
            "files",
            [replace(arrived, cut=cut) for cut in self.cuts.values() for arrived in arrivals],
            dict.fromkeys(self.cuts, EMBEDDER.passages(texts)),
        )

    def lanes(self) -> dict[str, Callable[[Principal, str], list[Passage]]]:
        def near(who: Principal, text: str, *, exact: bool) -> list[Passage]:
            return self.search.nearest(who, EMBEDDER.query(text), self.generation, 50, exact=exact)

        return {
            "exact": lambda who, text: near(who, text, exact=True),
            "graph": lambda who, text: near(who, text, exact=False),
            "lexical": lambda who, text: self.search.matching(who, TOKENIZER.terms(text), 50),
            "browse": lambda who, text: self.search.browse(who),
        }


@pytest.fixture(params=["the only cut", "the first of two cuts", "the second of two cuts"])
def house(postgres: Postgres, request: pytest.FixtureRequest) -> House:
    """Give a house that may have two cuts, and is asked in one of them."""
    library = PostgresLibrary(postgres)
    for chunking in ["whole"] if request.param == "the only cut" else ["whole", "another"]:
        library.add_generation("hash", "0" * 64, EMBEDDER.dimensions, TOKENIZER.name, chunking)
    cuts = {generation: cut.id for generation, _, _, cut in library.generations()}
    asked = max(cuts) if request.param == "the second of two cuts" else min(cuts)
    return House(library, PostgresSearch(postgres, cuts[asked]), asked, cuts)


@dataclass(frozen=True)
class Fact:
    text: str
    readers: frozenset[str]


def plant(house: House) -> list[Fact]:
    """Give each group, each pair of groups, everyone and nobody ten facts of their own, worded alike."""
    audiences = [{group} for group in GROUPS] + [{"hr", "lab"}, {EVERYONE}, set()]
    facts = [
        Fact(
            f"the blue binder code of {'-'.join(sorted(readers)) or 'nobody'} {n} is 7Q{n}",
            frozenset(readers),
        )
        for readers in audiences
        for n in range(10)
    ]
    house.put(*(arrival(f"{n}.md", fact.text, readers=fact.readers) for n, fact in enumerate(facts)))
    house.library.tend_index(1)
    return facts


def test_every_principal_asks_for_every_planted_fact_and_gets_only_their_own(house: House) -> None:
    facts = plant(house)
    forbidden = trials = 0
    for who in PRINCIPALS:
        allowed = {fact.text for fact in facts if who.may_read(Audience(fact.readers))}
        for fact in facts:
            for name, ask in house.lanes().items():
                found = {passage.original for passage in ask(who, fact.text)}
                trials += 1
                forbidden += len(found - allowed)
                assert found or not allowed, f"{name} found nothing for {who.subject}"
                assert (fact.text in found) == (fact.text in allowed), (name, who.subject, fact.text)
    assert (forbidden, trials) == (0, len(PRINCIPALS) * len(facts) * 4)


def test_titles_and_counts_tell_nothing_either(house: House) -> None:
    facts = plant(house)
    for who in PRINCIPALS:
        allowed = sum(who.may_read(Audience(fact.readers)) for fact in facts)
        assert house.search.visible_chunks(who) == len(house.search.documents(who)) == allowed


def test_forbidden_documents_change_no_passage_score_or_order(house: House) -> None:
    chance = random.Random(7)
    words = ["pump", "valve", "motor", "oil", "有給", "休暇", "出張", "旅費", "code", "blue"]
    asker = Principal("asker", frozenset({"lab"}))

    def text() -> str:
        return " ".join(chance.choices(words, k=chance.randint(2, 8)))

    house.put(*(arrival(f"open{n}.md", text(), text(), readers=[EVERYONE]) for n in range(15)))
    house.put(*(arrival(f"lab{n}.md", text(), readers=["lab"]) for n in range(10)))
    questions = [text() for _ in range(15)]
    lanes = {name: ask for name, ask in house.lanes().items() if name != "graph"}

    def answers() -> list[list[Passage]]:
        return [ask(asker, question) for ask in lanes.values() for question in questions]

    before = answers()
    for round in range(5):
        readers = chance.choice([["hr"], ["subsidiary", "hr"], []])
        copies = [question for question in questions for _ in range(chance.randint(1, 5))]
        house.put(arrival(f"secret{round}.md", *copies, readers=readers))
        assert answers() == before
        if chance.random() < 0.5:
            house.library.delete("files", [f"secret{round}.md"])
            assert answers() == before


def test_a_moved_audience_reaches_every_table_at_once(house: House, admin: Admin) -> None:
    arrived = arrival("a.md", "the blue binder", readers=["hr"])
    house.put(arrived)
    house.library.move_audience("files", replace(arrived.file, audience=Audience(frozenset({"lab"}))))
    zones = admin.execute(
        "select array_agg(distinct readers) from kiban.zone where id in (select zone_id from kiban.document"
        " union all select zone_id from kiban.chunk union all select zone_id from kiban.posting"
        " union all select zone_id from kiban.embedding)"
    ).fetchone()
    assert zones == ([["lab"]],)
    for ask in house.lanes().values():
        assert ask(Principal("hr", frozenset({"hr"})), "blue binder") == []
        assert len(ask(Principal("lab", frozenset({"lab"})), "blue binder")) == 1


@pytest.mark.parametrize("groups", [None, "", "{}"])
def test_who_reads_for_no_group_sees_no_row(
    house: House, postgres_server: EmbeddedPostgres, groups: str | None
) -> None:
    plant(house)
    with psycopg.connect(postgres_server.dsn("kiban_reader")) as reader:
        if groups is not None:
            reader.execute("select set_config('kiban.groups', %s, false)", [groups])
        for table in posture.GUARDED:
            assert reader.execute(f"select count(*) from kiban.{table}".encode()).fetchone() == (0,)


def test_a_pooled_connection_forgets_whom_it_read_for(
    house: House, postgres_server: EmbeddedPostgres
) -> None:
    plant(house)
    pool = Postgres(postgres_server.dsn("kiban_writer"), postgres_server.dsn("kiban_reader"), connections=1)
    query = "select count(*) from kiban.chunk"
    with pool.reading(["hr", "lab", EVERYONE]) as connection:
        assert connection.execute(query).fetchone() != (0,)
        process = connection.info.backend_pid
    with pytest.raises(psycopg.errors.DivisionByZero), pool.reading(["hr"]) as connection:
        connection.execute("select 1 / 0")
    with pool.reading([]) as connection:
        assert connection.info.backend_pid == process
        assert connection.execute(query).fetchone() == (0,)
    pool.close()


def test_identities_never_cross_when_many_ask_at_once(house: House) -> None:
    facts = plant(house)
    allowed = {
        who: {fact.text for fact in facts if who.may_read(Audience(fact.readers))} for who in PRINCIPALS
    }

    def ask(number: int) -> bool:
        who = PRINCIPALS[number % len(PRINCIPALS)]
        return {passage.original for passage in house.search.browse(who)} == allowed[who]

    with ThreadPoolExecutor(12) as askers:
        assert all(askers.map(ask, range(600)))


def test_a_leaking_predicate_is_never_shown_a_forbidden_row(
    house: House, postgres: Postgres, admin: Admin
) -> None:
    plant(house)
    admin.execute(
        "create function public.f_leak(text) returns boolean language plpgsql cost 0.0000001 as"
        " $$ begin raise notice '%', $1; return true; end $$"
    )
    seen: list[str] = []
    try:
        with postgres.reading(["lab"]) as connection:
            connection.add_notice_handler(lambda notice: seen.append(notice.message_primary or ""))
            connection.execute("select count(*) from kiban.chunk where public.f_leak(original)")
            connection.execute(
                "select count(*) from kiban.posting join kiban.chunk on chunk.id = chunk_id"
                " where public.f_leak(term) and public.f_leak(original)"
            )
    finally:
        admin.execute("drop function public.f_leak")
    assert any("lab" in value for value in seen)
    assert not [value for value in seen if "subsidiary" in value or "nobody" in value or "everyone" in value]


def test_the_reader_can_neither_write_nor_create(
    postgres_server: EmbeddedPostgres, postgres: Postgres
) -> None:
    for attempt in (
        "insert into kiban.zone (readers) values ('{x}')",
        "update kiban.document set title = ''",
        "delete from kiban.chunk",
        "create function kiban.f() returns int language sql as 'select 1'",
        "create function public.f() returns int language sql as 'select 1'",
        "create temporary table t (i int)",
        "create table public.t (i int)",
        "set role kiban_owner",
        "set role kiban_writer",
        "select * from kiban.curriculum",
        "select uri from kiban.tainted_curriculum",
        "select kiban.drop_generation(1)",
        "alter table kiban.chunk disable row level security",
    ):
        with psycopg.connect(postgres_server.dsn("kiban_reader")) as reader:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(attempt.encode())


def test_our_own_posture_is_safe(postgres: Postgres) -> None:
    with postgres.reading([]) as connection:
        posture.check(connection)


OPEN_WHEN_UNSET = """
create or replace function kiban.reading_groups() returns text[] language sql
return coalesce(nullif(current_setting('kiban.groups', true), '')::text[], '{everyone}')
"""
UNSAFE = {
    "a superuser": ("alter role kiban_reader superuser", "alter role kiban_reader nosuperuser"),
    "bypass": ("alter role kiban_reader bypassrls", "alter role kiban_reader nobypassrls"),
    "create roles": ("alter role kiban_reader createrole", "alter role kiban_reader nocreaterole"),
    "write-ahead": ("alter role kiban_reader replication", "alter role kiban_reader noreplication"),
    "member of kiban_owner": (
        "grant kiban_owner to kiban_reader with inherit false",
        "revoke kiban_owner from kiban_reader",
    ),
    "member of pg_read_all_data": (
        "grant pg_read_all_data to kiban_reader",
        "revoke pg_read_all_data from kiban_reader",
    ),
    "owns chunk": (
        "alter table kiban.chunk owner to kiban_reader",
        "alter table kiban.chunk owner to kiban_owner",
    ),
    "owns kiban": ("alter schema kiban owner to kiban_reader", "alter schema kiban owner to kiban_owner"),
    "not forced on posting": (
        "alter table kiban.posting no force row level security",
        "alter table kiban.posting force row level security",
    ),
    "not forced on embedding": (
        "alter table kiban.embedding disable row level security",
        "alter table kiban.embedding enable row level security",
    ),
    "policies on document": ("drop policy readers on kiban.document", None),
    "policies on chunk": (
        "create policy more on kiban.chunk using (true)",
        "drop policy more on kiban.chunk",
    ),
    "policies on zone": ("alter policy readers on kiban.zone using (true)", None),
    "seen for no group": (
        OPEN_WHEN_UNSET,
        None,
    ),
    "may read embedding_1": ("grant select on kiban.embedding_1 to kiban_reader", None),
    "may read curriculum": (
        "grant select on kiban.curriculum to kiban_reader",
        "revoke select on kiban.curriculum from kiban_reader",
    ),
    "may change zone": ("grant insert on kiban.zone to public", "revoke insert on kiban.zone from public"),
    "create in schema public": (
        "grant create on schema public to public",
        "revoke create on schema public from public",
    ),
}


@pytest.fixture
def broken(
    request: pytest.FixtureRequest, house: House, admin: Admin, postgres_server: EmbeddedPostgres
) -> Iterator[str]:
    breaking, mending = UNSAFE[request.param]
    admin.execute(breaking.encode())
    yield request.param
    if mending:
        admin.execute(mending.encode())
    migrate(postgres_server.dsn("postgres"), postgres_server.passwords)


@pytest.mark.parametrize("broken", list(UNSAFE), indirect=True)
def test_boot_refuses_an_unsafe_posture(broken: str, postgres_server: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres_server.dsn("kiban_reader")) as reader:
        with pytest.raises(UnsafeRole, match=broken):
            posture.check(reader)


def test_boot_refuses_to_read_as_the_writer_or_the_superuser(
    postgres: Postgres, postgres_server: EmbeddedPostgres
) -> None:
    for user in ("kiban_writer", "postgres"):
        with psycopg.connect(postgres_server.dsn(user)) as connection, pytest.raises(UnsafeRole):
            posture.check(connection)
    with psycopg.connect(postgres_server.dsn("postgres")) as connection:
        connection.execute("set role kiban_reader")
        with pytest.raises(UnsafeRole, match="logged in"):
            posture.check(connection)


def test_each_source_has_its_own_say_about_groups(postgres: Postgres) -> None:
    library, directory = PostgresLibrary(postgres), PostgresDirectory(postgres)
    library.set_memberships("handbook", {"sato": frozenset({"hr"})})
    library.set_memberships("wiki", {"sato": frozenset({"rnd"})})
    assert directory.groups_of("sato") == {"hr", "rnd"}
    library.set_memberships("handbook", {})
    assert directory.groups_of("sato") == {"rnd"}


def test_the_number_of_a_document_tells_nothing_of_others(postgres: Postgres) -> None:
    names = [f"{letter}.md" for letter in "abcdefghijklmnopqrst"]
    PostgresLibrary(postgres).put("files", [arrival(name, "of everyone") for name in names], {})
    drawn = [one.id for one in PostgresSearch(postgres).documents(PRINCIPALS[0])]
    assert drawn != sorted(drawn) and all(0 < number < 2**52 for number in drawn)
    assert max(drawn) - min(drawn) > 2**40  # were they counted, twenty would stand close together
