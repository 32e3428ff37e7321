"""A Postgres of our own starts, survives and refuses, on whatever machine it finds."""

from __future__ import annotations

import os
import signal
import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.backends.postgres.schema import migrate
from kiban.errors import PartRefused, PartUnavailable


@pytest.fixture
def server(tmp_path: Path, free_port: int) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path / "postgres", free_port, durable=False, memory_mb=64)
    yield server
    server.wipe()


def answer(dsn: str) -> object:
    with psycopg.connect(dsn) as connection:
        return (connection.execute("select current_user").fetchone() or ())[0]


def test_it_starts_with_its_databases_stops_and_starts_again(server: EmbeddedPostgres) -> None:
    assert not server.running
    server.start()
    server.start()
    assert server.running
    assert answer(server.dsn("postgres", "kiban")) == "postgres"
    assert answer(server.dsn("mlflow", "mlflow")) == "mlflow"
    with psycopg.connect(server.dsn("prefect", "prefect")) as prefect:
        assert prefect.execute("select extname from pg_extension where extname = 'pg_trgm'").fetchone()
        assert prefect.execute("show server_encoding").fetchone() == ("UTF8",)
    server.stop()
    server.stop()
    assert not server.running
    server.start()
    assert answer(server.dsn("mlflow", "mlflow")) == "mlflow"


def test_it_wants_passwords_and_only_its_person_can_read_them(server: EmbeddedPostgres) -> None:
    server.start()
    secrets = server.home / "secrets.json"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    for wrong in (":wrong@", "@"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            answer(server.dsn("postgres").replace(f":{server.passwords['postgres']}@", wrong))
    assert all(password not in server.log.read_text() for password in server.passwords.values())


def test_one_database_is_closed_to_the_users_of_another(server: EmbeddedPostgres) -> None:
    server.start()
    migrate(server.dsn("postgres"), server.passwords)
    for user, database in (("mlflow", "kiban"), ("kiban_reader", "prefect"), ("prefect", "mlflow")):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            answer(server.dsn(user, database))


def test_a_crash_hinders_no_restart(server: EmbeddedPostgres) -> None:
    server.start()
    lock = server.data / "postmaster.pid"
    process = int(lock.read_text().split()[0])
    os.kill(process, signal.SIGKILL)
    while server.running:
        time.sleep(0.01)
    assert lock.exists()
    server.start()
    assert answer(server.dsn("postgres")) == "postgres"


def test_a_lock_file_with_the_number_of_another_process_hinders_no_start(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    (server.data / "postmaster.pid").write_text(f"{os.getpid()}\n{server.data}\n")
    assert not server.running
    server.start()
    assert answer(server.dsn("postgres")) == "postgres"


def test_an_interrupted_creation_is_begun_again(server: EmbeddedPostgres) -> None:
    _ = server.passwords
    (server.home / "data.new" / "base").mkdir(parents=True)
    server.start()
    assert answer(server.dsn("postgres")) == "postgres"


def test_a_taken_port_is_refused_with_its_holder_and_the_mend(server: EmbeddedPostgres) -> None:
    with socket.create_server(("127.0.0.1", server.port)):
        with pytest.raises(
            PartRefused, match=rf"port {server.port} is taken by .+ \(process {os.getpid()}\)"
        ):
            server.start()
        with pytest.raises(PartRefused, match="KIBAN_POSTGRES_PORT"):
            server.start()
    server.start()


def test_lost_passwords_are_refused_instead_of_data_thrown_away(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    (server.home / "secrets.json").rename(server.home / "kept.json")
    again = replace(server)
    with pytest.raises(PartRefused, match=r"secrets\.json is gone"):
        again.start()
    (server.home / "kept.json").rename(server.home / "secrets.json")
    again.start()


def test_a_server_that_fails_to_start_names_its_log(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    (server.data / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(PartUnavailable, match=rf"{server.log}[\s\S]*no_such_setting"):
        server.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user for the server")
def test_for_root_a_closed_folder_stays_closed_and_the_data_lives_elsewhere(server: EmbeddedPostgres) -> None:
    server.home.parent.chmod(0o700)
    server.start()
    assert stat.S_IMODE(server.home.parent.stat().st_mode) == 0o700
    assert server.data.parent == Path((server.home / "elsewhere").read_text())
    assert not server.data.is_relative_to(server.home)
    assert server.data.owner() == "kiban_postgres"
    lodging = server.lodging
    server.wipe()
    assert not lodging.exists()
    assert not server.home.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user for the server")
def test_for_root_an_open_folder_keeps_its_data(free_port: int) -> None:
    home = Path(f"/var/tmp/kiban-test-{free_port}")
    server = EmbeddedPostgres(home, free_port, durable=False, memory_mb=64)
    try:
        server.start()
        assert server.data == home / "data"
    finally:
        server.wipe()
