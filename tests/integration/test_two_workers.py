"""Two processes read what waits in one database: no document twice, and the rows of one process."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import far_reading

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.backends.postgres.connect import Postgres
from kiban.domain.document import IngestReport
from kiban.settings import Settings


def test_two_processes_store_what_one_stores(
    tmp_path: Path, postgres_server: EmbeddedPostgres, postgres: Postgres
) -> None:
    far_reading.write_documents(tmp_path / "documents")
    folders = [
        {"kind": "folder", "name": name, "path": str(tmp_path / "documents")} for name in ("one", "two")
    ]
    settings = Settings(state=tmp_path / "state", documents=tmp_path, sources=tuple(folders))  # type: ignore[arg-type]
    dsns = postgres_server.dsn("kiban_writer"), postgres_server.dsn("kiban_reader")
    furniture = far_reading.PlainFurniture(settings, *dsns)
    furniture.library.add_generation("quick", "sha", 64, "words-1", "plain")
    for name in ("one", "two"):
        far_reading.list_documents(furniture, name)
    far_reading.drain_here(furniture, "one")
    furniture.close()

    (meeting := tmp_path / "meeting").mkdir()
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        asked = (settings, dsns, "two", meeting, 2)
        reports = [each.result() for each in [pool.submit(far_reading.drain_together, *asked) for _ in "12"]]
    assert all(report.added for report in reports)
    total = IngestReport.total(reports)
    assert (total.added, total.changed, total.unchanged, total.failed) == (far_reading.DOCUMENTS, 0, 0, ())
    admin = postgres_server.dsn("postgres")
    assert far_reading.rows(admin, "two") == far_reading.rows(admin, "one")
