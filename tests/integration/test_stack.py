"""Real Postgres, Prefect and MLflow, started by the supervisor in a state folder of their own."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import psutil
import psycopg
import pytest
from mlflow.entities import Metric

from kiban.errors import PartRefused
from kiban.settings import Settings
from kiban.stack import databases, health, supervisor
from kiban.stack.daemon import Daemon
from kiban.stack.parts import parts
from kiban.stack.supervisor import Part, State

SERVERS = ("postgres", "prefect", "mlflow")


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def servers(settings: Settings) -> dict[str, Part]:
    return {part.name: part for part in parts(settings) if part.name in SERVERS}


def bring_up(settings: Settings) -> list[str]:
    """Bring the servers up and return what happened, in order."""
    journal: list[str] = []

    def note(part: Part, state: State) -> None:
        journal.append(f"{part.name} {state}")

    supervisor.up(list(servers(settings).values()), note)
    return journal


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Give the settings of running servers."""
    postgres, prefect, mlflow_port = free_ports(3)
    settings = Settings(
        state=tmp_path_factory.mktemp("stack"),
        postgres_port=postgres,
        prefect_port=prefect,
        mlflow_port=mlflow_port,
    )
    try:
        bring_up(settings)
        yield settings
    finally:
        supervisor.down(list(servers(settings).values()), lambda part, state: None)
        databases.embedded(settings).wipe()


def test_every_server_is_healthy_and_says_its_version(stack: Settings) -> None:
    found = {status.name: status for status in supervisor.survey(servers(stack).values())}
    assert all(status.ok for status in found.values())
    assert found["postgres"].version.startswith("18.")
    assert found["prefect"].version.startswith("3.")
    assert found["mlflow"].version.startswith("3.")
    assert all(Path(status.log).exists() and status.memory > 0 for status in found.values())


def test_coming_up_again_starts_nothing_and_takes_no_time(stack: Settings) -> None:
    began = time.monotonic()
    journal = bring_up(stack)
    assert {line for line in journal if "starting" in line} == set()
    assert time.monotonic() - began < 2


def test_only_what_was_lost_is_started_again(stack: Settings) -> None:
    lost = servers(stack)["prefect"].runner
    assert isinstance(lost, Daemon)
    process = lost.process()
    assert process is not None
    for member in [process, *process.children(recursive=True)]:
        member.kill()
    psutil.wait_procs([process], timeout=5)
    (status,) = supervisor.survey([servers(stack)["prefect"]])
    assert (status.ok, status.detail) == (False, "not running")
    assert {line for line in bring_up(stack) if "starting" in line} == {"prefect starting"}


def test_prefect_and_mlflow_keep_what_they_know_in_postgres(stack: Settings) -> None:
    server = databases.embedded(stack)
    for name, table in (("prefect", "flow_run"), ("mlflow", "registered_models")):
        with psycopg.connect(server.dsn(name, name)) as connection:
            assert connection.execute(f"select count(*) from {table}".encode()).fetchone() is not None
    assert not list(stack.state.rglob("*.db"))


def test_prefect_tells_nobody_and_forgets_in_time(stack: Settings) -> None:
    told = json.loads(health.get(f"http://{stack.host}:{stack.prefect_port}/api/admin/settings"))["server"]
    assert told["analytics_enabled"] is False
    assert set(told["services"]["db_vacuum"]["enabled"]) == {"events", "flow_runs", "orphans"}


def test_mlflow_keeps_artifacts_in_the_state_folder(stack: Settings, tmp_path: Path) -> None:
    client = mlflow.MlflowClient(f"http://{stack.host}:{stack.mlflow_port}")
    run = client.create_run(client.create_experiment("stack")).info
    client.log_batch(run.run_id, metrics=[Metric("loss", 0.5, 0, 0)])
    (tmp_path / "card.md").write_text("weights")
    client.log_artifact(run.run_id, str(tmp_path / "card.md"))
    assert [path.read_text() for path in (stack.state / "mlflow-artifacts").rglob("card.md")] == ["weights"]


def test_a_port_that_is_taken_is_refused_with_the_setting_that_frees_it(
    stack: Settings, tmp_path: Path
) -> None:
    other = Settings(**{**stack.model_dump(), "state": tmp_path, "postgres_dsn": "postgresql://unused"})
    prefect = servers(other)["prefect"].runner
    assert prefect is not None
    with pytest.raises(PartRefused, match=f"{stack.prefect_port} .*KIBAN_PREFECT_PORT"):
        prefect.start()
