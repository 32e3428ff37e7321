"""Work pools on a real Prefect server: deployments as they are served, and two workers that read together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import far_reading
import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.client.schemas.objects import FlowRun
from prefect.settings import get_current_settings
from prefect.testing.utilities import prefect_test_harness

from flows.serve import deployments
from flows.work_pool import deploy_file
from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.backends.postgres.connect import Postgres
from kiban.settings import ROOT, Settings
from kiban.stack import environment
from kiban.wiring.documents import Documents
from kiban.wiring.furniture import Furniture

PREFECT = Path(sys.executable).with_name("prefect")
DOCUMENTS = 200  # several leases
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def client() -> Iterator[SyncPrefectClient]:
    with prefect_test_harness(server_startup_timeout=180), get_client(sync_client=True) as client:
        yield client


def prefect(*words: str) -> None:
    api = get_current_settings().api.url
    assert api
    done = subprocess.run(
        [PREFECT, "--no-prompt", *words],
        cwd=ROOT,
        env={**os.environ, "PREFECT_API_URL": api},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_deployments_of_the_pool_are_those_that_are_served(client: SyncPrefectClient) -> None:
    template = json.loads((ROOT / "infra" / "kubernetes" / "job-template.json").read_text())
    client.create_work_pool(WorkPoolCreate(name="kiban", type="kubernetes", base_job_template=template))
    prefect("deploy", "--all", "--prefect-file", "infra/kubernetes/prefect.yaml")

    made = {each.entrypoint: each for each in client.read_deployments() if each.work_pool_name == "kiban"}
    served = {each.entrypoint: each for each in deployments({})}
    assert made.keys() == served.keys()
    for entrypoint, wanted in served.items():
        found = made[entrypoint]
        limit = found.global_concurrency_limit
        assert (found.name, found.parameters) == (wanted.name, wanted.parameters)
        assert (limit.limit if limit else None) == wanted.concurrency_limit
        assert [each.schedule for each in found.schedules] == [
            each.schedule for each in wanted.schedules or ()
        ]


def test_two_workers_of_a_pool_read_what_one_process_reads(
    client: SyncPrefectClient, tmp_path: Path, postgres_server: EmbeddedPostgres, postgres: Postgres
) -> None:
    (tmp_path / "postgres-passwords.json").write_text(json.dumps(postgres_server.passwords))
    far_reading.write_documents(tmp_path / "documents", DOCUMENTS)
    (tmp_path / "nothing").mkdir()
    folders = [
        {"kind": "folder", "name": name, "path": str(tmp_path / "documents")} for name in ("here", "pool")
    ]
    settings = Settings(
        state=tmp_path,
        documents=tmp_path / "nothing",
        sources=tuple(folders),  # type: ignore[arg-type]
        postgres_dsn=(admin := postgres_server.dsn("postgres")),
        prefect_api_url=get_current_settings().api.url,
        embedder=str(far_reading.write_encoder(tmp_path)),
    )
    furniture = Furniture(settings)
    furniture.generation(furniture.base_embedder)
    documents = Documents(furniture)
    documents.ingest("here")
    documents.survey("pool")
    furniture.close()

    client.create_work_pool(WorkPoolCreate(name="machines", type="process"))
    (tmp_path / "prefect.yaml").write_text(deploy_file(deployments({}), "machines", str(ROOT)))
    prefect("deploy", "--name", "drain/by-hand", "--prefect-file", str(tmp_path / "prefect.yaml"))
    deployment = client.read_deployment_by_name("drain/by-hand")
    runs = [
        client.create_flow_run_from_deployment(deployment.id, parameters={"source": "pool"}) for _ in "12"
    ]
    variables = {**os.environ, **environment.house(settings)}
    command = [PREFECT, "worker", "start", "--pool", "machines", "--type", "process", "--limit", "1"]
    workers = [
        subprocess.Popen([*command, "--name", name], env=variables, cwd=ROOT, stdout=subprocess.DEVNULL)
        for name in ("first", "second")
    ]
    try:
        ended = [_ended(client, run) for run in runs]
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            try:
                worker.wait(60)
            except subprocess.TimeoutExpired:  # what it read is stored, and is what is looked at
                worker.kill()
                worker.wait()
    assert all(run.state and run.state.is_completed() for run in ended), [run.state for run in ended]
    assert sum(_read(client, run)["added"] for run in ended) == DOCUMENTS
    assert far_reading.rows(admin, "pool") == far_reading.rows(admin, "here")


def _ended(client: SyncPrefectClient, run: FlowRun) -> FlowRun:
    while not (run.state and run.state.is_final()):
        time.sleep(1)
        run = client.read_flow_run(run.id)
    return run


def _read(client: SyncPrefectClient, run: FlowRun) -> dict[str, Any]:
    """Return what a run says it has read."""
    asked = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
    (artifact,) = client.read_artifacts(artifact_filter=asked)
    (row,) = json.loads(str(artifact.data))
    return dict(row)
