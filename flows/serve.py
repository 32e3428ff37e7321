"""Serve every flow with its schedule: `python -m flows.serve`. The only cron strings are here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from prefect import serve
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Interval

from flows.adapt import adapt, judge, judge_base
from flows.generation import build_generation
from flows.ingest import drain, ingest
from flows.nightly import nightly
from flows.registry import follow_registry
from flows.tend import follow_people, tend
from flows.zombies import crash_the_silent
from flows.zones import adapt_zone, adapt_zones
from kiban.wiring import house

AT_ONCE = 3  # runs, and one for each source with a schedule of its own
MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)  # what intervals are counted from, whenever serving begins


def deployments(schedules: Mapping[str, timedelta]) -> list[RunnerDeployment]:
    """Return what is to be run when, whoever runs it: one run of each at a time, but any number of `drain`.

    `schedules` says how often sources are ingested that have a schedule of their own.
    """
    return [
        ingest.to_deployment(
            "hourly", cron="0 * * * *", parameters={"all_sources": False}, concurrency_limit=1
        ),
        *(
            ingest.to_deployment(
                f"source-{name}",
                schedule=Interval(every, anchor_date=MIDNIGHT),
                parameters={"source": name},
                concurrency_limit=1,
            )
            for name, every in schedules.items()
        ),
        drain.to_deployment("by-hand"),
        adapt.to_deployment("weekly", cron="0 2 * * 0", concurrency_limit=1),
        adapt_zones.to_deployment("weekly", cron="0 4 * * 0", concurrency_limit=1),
        adapt_zone.to_deployment("by-hand", concurrency_limit=1),
        judge.to_deployment("by-hand", concurrency_limit=1),
        judge_base.to_deployment("by-hand", concurrency_limit=1),
        nightly.to_deployment("nightly", cron="30 3 * * *", concurrency_limit=1),
        build_generation.to_deployment("by-hand", concurrency_limit=1),
        tend.to_deployment("tend", cron="*/3 * * * *", concurrency_limit=1),
        follow_people.to_deployment("follow-people", cron="* * * * *", concurrency_limit=1),
        follow_registry.to_deployment("follow-registry", cron="1-59/5 * * * *", concurrency_limit=1),
    ]


def main() -> None:
    crash_the_silent()
    schedules = house().documents.schedules()
    serve(*deployments(schedules), limit=AT_ONCE + len(schedules))


if __name__ == "__main__":
    main()
