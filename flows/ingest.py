"""Documents come in: one task per batch, so that a killed run resumes where it stopped."""

from __future__ import annotations

from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from kiban.domain.document import IngestReport, SourceFile
from kiban.ingest.absorb import Survey
from kiban.wiring import house


@task(cache_policy=NO_CACHE)
def survey(folder: Path | None) -> Survey:
    return house().documents.survey(folder)


@task(cache_policy=NO_CACHE)
def settle(folder: Path | None, found: Survey) -> IngestReport:
    return house().documents.settle(folder, found)


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=5)
def absorb(folder: Path | None, files: tuple[SourceFile, ...]) -> IngestReport:
    return house().documents.absorb(folder, files)


@task(cache_policy=NO_CACHE)
def tend_index() -> None:
    house().documents.tend_index()


@flow(name="ingest")
def ingest(folder: Path | None = None) -> IngestReport:
    """Bring the index up to date with a folder.

    Args:
        folder: The folder to read; empty for the one in the settings.
    """
    found = survey(folder)
    reports = [settle(folder, found)]
    batches = list(found.batches())
    for number, files in enumerate(batches, start=1):
        reports.append(absorb(folder, files))
        house().furniture.progress(number, len(batches), "ingest")
    if batches:
        tend_index()
    report = IngestReport.total(reports)
    rows = [
        {"document": d.uri, "state": d.state, "since": f"{d.since:%F %T}", "why": d.reason}
        for d in house().documents.all()
    ]
    create_table_artifact(key="documents", table=rows, description="Documents by state")
    return report
