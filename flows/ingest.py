"""Documents come in: one task per batch, so that a killed run resumes where it stopped."""

from __future__ import annotations

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from kiban.domain.document import IngestReport, Listed
from kiban.ingest.absorb import Survey
from kiban.wiring import house


@task(cache_policy=NO_CACHE)
def survey(source: str) -> Survey:
    return house().documents.survey(source)


@task(cache_policy=NO_CACHE)
def settle(source: str, found: Survey) -> IngestReport:
    return house().documents.settle(source, found)


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=5)
def absorb(source: str, entries: tuple[Listed, ...]) -> IngestReport:
    return house().documents.absorb(source, entries)


@task(cache_policy=NO_CACHE)
def tend_index() -> None:
    house().documents.tend_index()


@flow(name="ingest")
def ingest(source: str | None = None) -> IngestReport:
    """Bring the index up to date with a source.

    Args:
        source: Its name, or the path of a folder; empty for all sources in the settings.
    """
    reports = []
    for name in [source] if source else house().documents.sources():
        found = survey(name)
        reports.append(settle(name, found))
        batches = list(found.batches())
        for number, entries in enumerate(batches, start=1):
            reports.append(absorb(name, entries))
            house().furniture.progress(number, len(batches), "ingest")
        house().documents.remember(name, found)
    tend_index()
    report = IngestReport.total(reports)
    rows = [
        {"document": d.uri, "state": d.state, "since": f"{d.since:%F %T}", "why": d.reason}
        for d in house().documents.all()
    ]
    create_table_artifact(key="documents", table=rows, description="Documents by state")
    return report
