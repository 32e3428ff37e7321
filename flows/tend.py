"""The house is kept: readers and deletions are followed, tainted weights withdrawn, servers re-supplied."""

from __future__ import annotations

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from kiban.domain.document import IngestReport
from kiban.domain.release import LedgerEntry
from kiban.wiring import house
from kiban.wiring.directories import Followed
from kiban.wiring.side_by_side import Failures


@task(cache_policy=NO_CACHE, task_run_name="follow {source}", retries=1, retry_delay_seconds=5)
def follow(source: str) -> IngestReport:
    return house().documents.survey(source)


@task(cache_policy=NO_CACHE)
def withdraw() -> LedgerEntry | None:
    return house().releases.withdraw(actor="tend flow")


@task(cache_policy=NO_CACHE, retries=1, retry_delay_seconds=5)
def converge() -> None:
    house().releases.converge()


@task(cache_policy=NO_CACHE)
def forget_what_is_old() -> None:
    house().records.forget_old()
    house().conversations.forget_old()
    house().identity.forget_old()


@task(cache_policy=NO_CACHE, retries=1, retry_delay_seconds=5)
def keep_resident() -> int:
    return house().releases.keep_resident()


@task(cache_policy=NO_CACHE)
def follow_trial() -> LedgerEntry | None:
    return house().canary.step(actor="tend flow")


@task(cache_policy=NO_CACHE)
def follow_directories() -> list[Followed]:
    return house().directories.follow()


@flow(name="follow-people")
def follow_people() -> None:
    """Follow who is in which group and who may read which folder: it reaches the next question."""
    failures = Failures()
    for followed in follow_directories():
        failures.add(followed.error)
    with failures.gathered():
        house().documents.watch_readers(seconds=50)
    failures.tell()


@flow(name="tend")
def tend() -> LedgerEntry | None:
    """Follow deletions and narrowed readers, record withdrawn weights, bring restarted servers up to date.

    Every source is followed beside the others; one that hangs is given up for this time."""
    failures = Failures()
    for followed in house().documents.look(follow):
        failures.add(followed.error)
    withdrawn = withdraw()
    converge()
    keep_resident()
    follow_trial()
    forget_what_is_old()
    failures.tell()
    return withdrawn
