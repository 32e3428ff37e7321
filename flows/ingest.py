"""Documents come in: one task per leased batch, so that a killed run resumes where it stopped."""

from __future__ import annotations

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from kiban.domain.document import IngestReport, Lease
from kiban.wiring import house


@task(cache_policy=NO_CACHE, retries=1, retry_delay_seconds=5)
def survey(source: str, allow_deleting: bool) -> IngestReport:
    return house().documents.survey(source, allow_deleting)


@task(cache_policy=NO_CACHE)
def absorb(lease: Lease) -> IngestReport:
    return house().documents.absorb(lease)


@task(cache_policy=NO_CACHE)
def tend_index() -> None:
    house().documents.tend_index()


@flow(name="ingest")
def ingest(source: str | None = None, allow_deleting: bool = False) -> IngestReport:
    """Bring the index up to date with a source.

    Args:
        source: Its name, or the path of a folder; empty for all sources in the settings.
        allow_deleting: Delete however many documents are gone.
    """
    documents, reports = house().documents, []
    for name in [source] if source else documents.sources():
        reports.append(survey(name, allow_deleting))
        while lease := documents.next_lease(name):
            reports.append(absorb(lease))
            house().furniture.progress(len(reports), len(reports), "ingest")
    tend_index()
    report = IngestReport.total(reports)
    rows = [
        {"document": d.uri, "state": d.state, "since": f"{d.since:%F %T}", "why": d.reason}
        for d in documents.all()
    ]
    create_table_artifact(key="documents", table=rows, description="Documents by state")
    return documents.conclude(report)
