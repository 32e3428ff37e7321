"""Documents come in: one task per leased batch, so that a killed run resumes where it stopped.

Sources are listed beside each other, and each is read as soon as it has been listed: one that hangs or fails
keeps no other waiting.
"""

from __future__ import annotations

from dataclasses import asdict

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from kiban.domain.document import IngestReport, Lease
from kiban.wiring import house
from kiban.wiring.side_by_side import Failures


@task(cache_policy=NO_CACHE, task_run_name="survey {source}", retries=1, retry_delay_seconds=5)
def survey(source: str, allow_deleting: bool) -> IngestReport:
    return house().documents.survey(source, allow_deleting)


@task(cache_policy=NO_CACHE)
def absorb(lease: Lease) -> IngestReport:
    return house().documents.absorb(lease)


@task(cache_policy=NO_CACHE, task_run_name="drain {source}")
def drain_elsewhere(source: str) -> IngestReport:
    return house().documents.drain(source)


@task(cache_policy=NO_CACHE)
def tend_index() -> None:
    house().documents.tend_index()


@flow(name="ingest")
def ingest(source: str | None = None, allow_deleting: bool = False, all_sources: bool = True) -> IngestReport:
    """Bring the index up to date with a source.

    Args:
        source: Its name, or the path of a folder; empty for those in the settings.
        allow_deleting: Delete however many documents are gone.
        all_sources: With no source named, also those that have a schedule of their own.
    """
    documents, failures, reports = house().documents, Failures(), list[IngestReport]()
    names = [source] if source else documents.sources() if all_sources else documents.hourly()
    for listed in documents.beside(lambda name: survey(name, allow_deleting), names):
        if listed.result is None:
            failures.add(listed.error)
            continue
        reports.append(listed.result)
        with failures.gathered():
            if not documents.read_here:
                reports.append(drain_elsewhere(listed.name))
            while lease := documents.next_lease(listed.name):
                reports.append(absorb(lease))
                house().furniture.progress(len(reports), len(reports), "ingest")
    tend_index()
    report = IngestReport.total(reports)
    rows = [
        {"document": d.uri, "state": d.state, "since": f"{d.since:%F %T}", "why": d.reason}
        for d in documents.all()
    ]
    create_table_artifact(key="documents", table=rows, description="Documents by state")
    failures.tell()
    return documents.conclude(report)


@flow(name="drain")
def drain(source: str | None = None) -> IngestReport:
    """Read what waits, beside whoever else reads: start one run on each machine that is to help.

    Args:
        source: Its name, or the path of a folder; empty for those in the settings.
    """
    documents, failures, reports = house().documents, Failures(), list[IngestReport]()
    for name in [source] if source else documents.sources():
        with failures.gathered():
            while lease := documents.next_lease(name):
                reports.append(absorb(lease))
    report = IngestReport.total(reports)
    create_table_artifact(key="drain", table=[asdict(report)], description="What this run has read")
    failures.tell()
    return report
