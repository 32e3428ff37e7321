"""Any Postgres that is new enough is brought to the same shape, as often as one likes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.backends.postgres import posture, schema
from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.schema import dsn_as, migrate
from kiban.backends.postgres.search import PostgresSearch
from kiban.domain.access import Principal
from kiban.errors import PartRefused, PartUnavailable
from kiban.testing import HashEmbedder, arrival

Admin = psycopg.Connection[tuple[Any, ...]]


def test_migrating_again_and_by_several_at_once_changes_nothing(
    postgres: Postgres, postgres_server: EmbeddedPostgres
) -> None:
    PostgresLibrary(postgres).put("files", [arrival("a.md", "kept")], {})
    with ThreadPoolExecutor(4) as people:
        for done in [
            people.submit(migrate, postgres_server.dsn("postgres"), postgres_server.passwords)
            for _ in range(4)
        ]:
            done.result()
    assert [document.uri for document in PostgresLibrary(postgres).documents()] == ["a.md"]


@pytest.fixture
def rented(admin: Admin, postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """Give the DSN of a database elsewhere, of one who may create roles and databases but is no superuser."""
    ours = ("kiban_reader", "kiban_writer", "kiban_owner")
    for role in ours:  # theirs to create
        admin.execute(f"alter role {role} rename to {role}_aside".encode())
    admin.execute("create role tenant login createrole createdb password 'tenant'")
    admin.execute("create database rented owner tenant")
    yield dsn_as(postgres_server.dsn("postgres", "rented"), "tenant", "tenant")
    admin.execute("drop database rented with (force)")
    for role in (*ours, "tenant"):
        admin.execute(f"drop role if exists {role}".encode())
    for role in ours:
        admin.execute(f"alter role {role}_aside rename to {role}".encode())
    migrate(postgres_server.dsn("postgres"), postgres_server.passwords)


def test_a_rented_database_without_a_superuser_works_the_same(
    rented: str, postgres_server: EmbeddedPostgres
) -> None:
    with pytest.raises(PartRefused, match="create extension vector"):
        migrate(rented, {})
    with psycopg.connect(postgres_server.dsn("postgres", "rented")) as landlord:
        landlord.execute("create extension vector")
    passwords = {"kiban_writer": "w" * 20, "kiban_reader": "r" * 20}
    for _ in range(2):
        migrate(rented, passwords)
    writer, reader = (dsn_as(rented, role, password) for role, password in passwords.items())
    postgres = Postgres(writer, reader, admin_dsn=rented)
    with postgres.reading([]) as connection:
        posture.check(connection)
    library, embedder = PostgresLibrary(postgres), HashEmbedder()
    generation = library.add_generation("hash", "0", embedder.dimensions, "words-1", "whole")
    library.put("files", [arrival("a.md", "pump", readers=["hr"])], {generation: embedder.passages(["pump"])})
    library.tend_index(1)
    search, hr = PostgresSearch(postgres), Principal("aoi", frozenset({"hr"}))
    assert search.nearest(hr, embedder.query("pump"), generation, 1, exact=True)[0].original == "pump"
    assert search.visible_chunks(Principal("ken", frozenset())) == 0
    postgres.close()


def test_an_old_pgvector_is_refused_with_the_mend(postgres_server: EmbeddedPostgres, admin: Admin) -> None:
    admin.execute("update pg_extension set extversion = '0.8.1' where extname = 'vector'")
    try:
        with pytest.raises(PartRefused, match=r"pgvector 0\.8\.1.*alter extension vector update"):
            migrate(postgres_server.dsn("postgres"), postgres_server.passwords)
    finally:
        admin.execute("update pg_extension set extversion = '0.8.6' where extname = 'vector'")


def test_an_old_postgres_is_refused_with_the_mend(
    postgres_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "OLDEST_SERVER", 99)
    with pytest.raises(PartRefused, match=r"Postgres 18 is too old.*KIBAN_POSTGRES_DSN"):
        migrate(postgres_server.dsn("postgres"), postgres_server.passwords)


def test_a_server_that_is_not_there_is_named(free_port: int) -> None:
    with pytest.raises(PartUnavailable, match="Postgres"):
        migrate(f"postgresql://postgres:x@127.0.0.1:{free_port}/kiban", {})
