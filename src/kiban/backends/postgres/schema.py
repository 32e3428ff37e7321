"""Brings a database to the shape that schema.sql describes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

import psycopg
from psycopg import sql

from kiban.errors import PartRefused, PartUnavailable

OWNER, WRITER, READER = "kiban_owner", "kiban_writer", "kiban_reader"
OLDEST_SERVER = 16
OLDEST_PGVECTOR = (0, 8, 2)  # older ones overflow in parallel index builds (CVE-2026-3172)


def migrate(admin_dsn: str, passwords: Mapping[str, str]) -> None:
    """Create roles, schema and tables; safe to run again, and by two at once.

    `admin_dsn` names Kiban's database, as a superuser or as a role that may create roles and owns the
    database. `passwords` holds those of kiban_writer and kiban_reader. Raises PartUnavailable when the
    server does not answer, PartRefused when it is too old.
    """
    try:
        with psycopg.connect(admin_dsn, connect_timeout=10) as admin:
            admin.execute("select pg_advisory_xact_lock(hashtext('kiban schema'))")
            _require_server(admin)
            home = _require_pgvector(admin)
            _create_roles(admin, passwords)
            path = sql.SQL(", ").join([sql.Identifier("kiban"), sql.Identifier(home)])
            for role in (OWNER, WRITER, READER):
                admin.execute(_role_setting(admin, role, path))
            admin.execute(sql.SQL("set local search_path = {}").format(path))
            admin.execute(f"create schema if not exists kiban authorization {OWNER}")
            admin.execute(f"set local role {OWNER}")
            admin.execute(files(__package__).joinpath("schema.sql").read_bytes())
    except psycopg.OperationalError as error:
        raise PartUnavailable(f"Postgres: {error}".strip()) from error


def dsn_as(admin_dsn: str, user: str, password: str) -> str:
    """Return the same server and database, for another user."""
    return psycopg.conninfo.make_conninfo(admin_dsn, user=user, password=password)


def _require_server(admin: psycopg.Connection) -> None:
    version = admin.info.server_version // 10_000
    if version < OLDEST_SERVER:
        raise PartRefused(
            f"Postgres {version} is too old.", mend=f"point KIBAN_POSTGRES_DSN at Postgres >= {OLDEST_SERVER}"
        )


def _require_pgvector(admin: psycopg.Connection) -> str:
    """Make sure of pgvector, and return the schema it lives in."""
    wanted = ".".join(map(str, OLDEST_PGVECTOR))
    try:
        admin.execute("create extension if not exists vector")
    except (psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile) as error:
        raise PartRefused(
            "Postgres lacks pgvector.", mend=f"install pgvector >= {wanted} on its server"
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise PartRefused(
            f"Postgres does not let {admin.info.user} add pgvector.",
            mend="have its administrator say, in this database: create extension vector",
        ) from error
    found = admin.execute(
        "select extversion, nspname from pg_extension join pg_namespace n on n.oid = extnamespace"
        " where extname = 'vector'"
    ).fetchone()
    assert found is not None
    version, home = found
    if tuple(int(part) for part in version.split(".")) < OLDEST_PGVECTOR:
        raise PartRefused(
            f"Postgres has pgvector {version}.",
            mend=f"install pgvector >= {wanted} on its server, then: alter extension vector update",
        )
    return str(home)


def _create_roles(admin: psycopg.Connection, passwords: Mapping[str, str]) -> None:
    for role in (OWNER, WRITER, READER):
        if admin.execute("select to_regrole(%s)", [role]).fetchone() == (None,):
            admin.execute(f"create role {role}")
    for role in (WRITER, READER):
        # Hashed on this side, so that no server log can hold the password.
        secret = admin.pgconn.encrypt_password(passwords[role].encode(), role.encode(), b"scram-sha-256")
        admin.execute(
            sql.SQL("alter role {} login password {}").format(sql.Identifier(role), secret.decode())
        )
        allowed = "connect, temporary" if role == WRITER else "connect"
        admin.execute(
            sql.SQL(f"grant {allowed} on database {{}} to {{}}").format(
                sql.Identifier(admin.info.dbname), sql.Identifier(role)
            )
        )
    # One who may create roles, but is no superuser, may not yet act as them.
    admin.execute(f"grant {OWNER} to current_user with set true, inherit false")


def _role_setting(admin: psycopg.Connection, role: str, path: sql.Composed) -> sql.Composed:
    return sql.SQL("alter role {} in database {} set search_path = {}").format(
        sql.Identifier(role), sql.Identifier(admin.info.dbname), path
    )
