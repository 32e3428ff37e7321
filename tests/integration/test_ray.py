"""The same ingest on a real Ray cluster of two nodes: the rows are those of an ingest in one process."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import far_reading
import pytest

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.backends.postgres.connect import Postgres
from kiban.domain.document import IngestReport
from kiban.errors import PartUnavailable
from kiban.settings import Settings
from kiban.wiring.documents import Documents
from kiban.wiring.furniture import Furniture

pytest.importorskip("ray", reason="Ray is not installed: python3 infra/setup --ray")

from ray.cluster_utils import Cluster

from kiban.backends import ray_engine

pytestmark = pytest.mark.timeout(600)
NODE = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}


class Trial:
    """One folder, read once in this process, and to be read again by a cluster of two nodes."""

    def __init__(self, folder: Path, server: EmbeddedPostgres, cluster: Cluster) -> None:
        self.cluster = cluster
        self.second = cluster.add_node(**NODE)
        self.meeting = folder / "meeting"
        self.meeting.mkdir()
        far_reading.write_documents(folder / "documents")
        folders = [
            {"kind": "folder", "name": name, "path": str(folder / "documents")} for name in ("here", "there")
        ]
        self.settings = Settings(state=folder / "state", documents=folder, sources=tuple(folders))  # type: ignore[arg-type]
        self._server = server
        dsns = server.dsn("kiban_writer"), server.dsn("kiban_reader")
        self.furniture = far_reading.PlainFurniture(self.settings, *dsns)
        self.furniture.library.add_generation("quick", "sha", 64, "words-1", "plain")
        for name in ("here", "there"):
            far_reading.list_documents(self.furniture, name)
        far_reading.drain_here(self.furniture, "here")
        self._open = partial(far_reading.open_worker, self.settings, dsns, "there", self.meeting, 2)

    def work(self) -> Iterator[tuple[str, IngestReport]]:
        return ray_engine.work(
            self.cluster.address,
            self._open,
            cores=1,
            variables={"PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def rows(self, source: str) -> list[tuple[Any, ...]]:
        return far_reading.rows(self._server.dsn("postgres"), source)

    def close(self) -> None:
        self.furniture.close()
        if self.second in self.cluster.worker_nodes:
            self.cluster.remove_node(self.second)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    folder = tempfile.mkdtemp(prefix="ray-")  # not pytest's: sockets' paths may have 107 characters
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("RAY_worker_niceness", "0")  # else a busy machine lets them starve
        cluster = Cluster(initialize_head=True, head_node_args=NODE)
        yield cluster
        cluster.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def trial(
    tmp_path: Path, postgres_server: EmbeddedPostgres, postgres: Postgres, cluster: Cluster
) -> Iterator[Trial]:
    trial = Trial(tmp_path, postgres_server, cluster)
    yield trial
    trial.close()


def test_two_nodes_store_what_one_process_stores(trial: Trial) -> None:
    worked = list(trial.work())
    assert trial.rows("there") == trial.rows("here")
    leases = Counter(node for node, _ in worked)
    assert len(leases) == 2
    report = IngestReport.total(report for _, report in worked)
    assert (report.added, report.failed) == (far_reading.DOCUMENTS, ())
    assert report.chunks == sum(row[9] is not None for row in trial.rows("here"))


def test_a_node_killed_midway_leaves_no_trace(trial: Trial) -> None:
    (trial.meeting / f"hold-{trial.second.node_id}").touch()
    leases: Counter[str] = Counter()
    for node, _ in trial.work():
        leases[node] += 1
        if (trial.meeting / "held").exists() and trial.second in trial.cluster.worker_nodes:
            trial.cluster.remove_node(trial.second, allow_graceful=False)
    assert (trial.meeting / "held").exists()
    assert leases[trial.second.node_id] == 1
    assert trial.rows("there") == trial.rows("here")


def test_the_settings_say_where_documents_are_read(
    tmp_path: Path, postgres_server: EmbeddedPostgres, postgres: Postgres, cluster: Cluster
) -> None:
    (tmp_path / "postgres-passwords.json").write_text(json.dumps(postgres_server.passwords))
    far_reading.write_documents(tmp_path / "documents")
    encoder = far_reading.write_encoder(tmp_path)
    admin = postgres_server.dsn("postgres")

    def ingest(name: str, **engine: Any) -> IngestReport:
        source = {"kind": "folder", "name": name, "path": str(tmp_path / "documents")}
        settings = Settings(
            state=tmp_path,
            documents=tmp_path,
            sources=(source,),  # type: ignore[arg-type]
            postgres_dsn=admin,
            embedder=str(encoder),
            **engine,
        )
        furniture = Furniture(settings)
        try:
            furniture.generation(furniture.base_embedder)
            return Documents(furniture).ingest(name)
        finally:
            furniture.close()

    here = ingest("here")
    there = ingest("there", ingest_engine="ray", ray_address=cluster.address, ray_cores=1)
    assert (here.added, there.added, there.failed) == (far_reading.DOCUMENTS, far_reading.DOCUMENTS, ())
    assert far_reading.rows(admin, "there") == far_reading.rows(admin, "here")


def test_a_cluster_that_does_not_answer_is_named() -> None:
    with pytest.raises(PartUnavailable, match=r"127\.0\.0\.1:9"):
        list(ray_engine.work("127.0.0.1:9", lambda: lambda: None, cores=1, variables={}))
