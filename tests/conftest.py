"""One real Postgres for the whole run, emptied before each test that asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from free_port import find_free_port
from hypothesis import HealthCheck, settings

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.schema import migrate

LEARNING = ("decision", "feedback", "ledger", "release", "lineage", "curriculum")
TABLES = (*LEARNING, "embedding", "posting", "sensitive", "picture", "chunk", "document")
TALLIES = ("graph", "zone_tally", "term_tally", "change_tally")
RECORDS = ("answer_record", "answer_record_end", "exchange", "conversation")
CREDENTIALS = ("local_user", "token")
COUNTED = (*TALLIES, *RECORDS, *CREDENTIALS, "generation", "membership", "source", "tombstone", "zone")
settings.register_profile("kiban", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kiban")  # a busy machine is not a fault

QUICK_FIRST = ("unit", "contract", "integration", "gpu", "browser", "acceptance")
EMPTY = f"truncate {', '.join(f'kiban.{table}' for table in (*TABLES, *COUNTED))}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what is quick first; the house of the acceptance tests would go on working beside the others."""
    here = Path(__file__).parent
    items.sort(key=lambda item: QUICK_FIRST.index(item.path.relative_to(here).parts[0]))


@pytest.fixture
def free_port() -> int:
    return find_free_port()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """Give a running server with Kiban's tables in it."""
    server = EmbeddedPostgres(
        tmp_path_factory.mktemp("postgres"), find_free_port(), durable=False, memory_mb=128
    )
    server.start()
    migrate(server.dsn("postgres"), server.passwords)
    yield server
    server.wipe()


@pytest.fixture
def admin(postgres_server: EmbeddedPostgres) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Give a superuser's connection to Kiban's database, where every statement is a transaction."""
    with psycopg.connect(postgres_server.dsn("postgres"), autocommit=True) as connection:
        yield connection


@pytest.fixture
def postgres(
    postgres_server: EmbeddedPostgres, admin: psycopg.Connection[tuple[Any, ...]]
) -> Iterator[Postgres]:
    """Give empty tables, as the writer and the reader see them."""
    admin.execute("set session_replication_role = replica")  # the ledger refuses to be emptied
    admin.execute(f"{EMPTY} restart identity".encode())
    admin.execute("set session_replication_role = origin")
    partitions = admin.execute(
        "select inhrelid::regclass::text from pg_inherits where inhparent = 'kiban.embedding'::regclass"
    ).fetchall()
    for (partition,) in partitions:
        admin.execute(f"drop table {partition}".encode())
    migrate(postgres_server.dsn("postgres"), postgres_server.passwords)
    connections = Postgres(
        postgres_server.dsn("kiban_writer"),
        postgres_server.dsn("kiban_reader"),
        admin_dsn=postgres_server.dsn("postgres"),
    )
    yield connections
    connections.close()
