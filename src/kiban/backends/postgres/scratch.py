"""A database for one measurement, beside the real one and gone afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg
from psycopg import sql

from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.schema import READER, WRITER, dsn_as, migrate
from kiban.errors import PartUnavailable


@contextmanager
def scratch_database(admin_dsn: str, passwords: Mapping[str, str]) -> Iterator[Postgres]:
    """Give an empty library on the server of `admin_dsn`, whose role must be allowed to create databases.

    `passwords` holds those of kiban_writer and kiban_reader. Raises what `migrate` raises.
    """
    with blank_database(admin_dsn) as here:
        migrate(here, passwords)
        writer, reader = (dsn_as(here, role, passwords[role]) for role in (WRITER, READER))
        postgres = Postgres(writer, reader, admin_dsn=here)
        try:
            yield postgres
        finally:
            postgres.close()


@contextmanager
def blank_database(admin_dsn: str) -> Iterator[str]:
    """Give the address of a database with nothing in it. Raises PartUnavailable."""
    name = f"kiban_scratch_{secrets.token_hex(4)}"
    _execute(admin_dsn, "create database {}", name)
    try:
        yield psycopg.conninfo.make_conninfo(admin_dsn, dbname=name)
    finally:
        _execute(admin_dsn, "drop database {} with (force)", name)


def _execute(admin_dsn: str, statement: str, name: str) -> None:
    try:
        with psycopg.connect(admin_dsn, autocommit=True, connect_timeout=10) as admin:
            admin.execute(sql.SQL(statement).format(sql.Identifier(name)))
    except psycopg.OperationalError as error:
        raise PartUnavailable(f"Postgres: {error}".strip()) from error
