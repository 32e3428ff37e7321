"""Serve every flow with its schedule: `python -m flows.serve`. The only cron strings are here."""

from __future__ import annotations

from prefect import serve

from flows.adapt import adapt, judge
from flows.generation import build_generation
from flows.ingest import ingest
from flows.nightly import nightly
from flows.registry import follow_registry
from flows.tend import follow_people, tend
from flows.zombies import crash_the_silent


def main() -> None:
    crash_the_silent()
    serve(
        ingest.to_deployment("hourly", cron="0 * * * *", concurrency_limit=1),
        adapt.to_deployment("weekly", cron="0 2 * * 0", concurrency_limit=1),
        judge.to_deployment("by-hand", concurrency_limit=1),
        nightly.to_deployment("nightly", cron="30 3 * * *", concurrency_limit=1),
        build_generation.to_deployment("by-hand", concurrency_limit=1),
        tend.to_deployment("tend", cron="*/3 * * * *", concurrency_limit=1),
        follow_people.to_deployment("follow-people", cron="* * * * *", concurrency_limit=1),
        follow_registry.to_deployment("follow-registry", cron="1-59/5 * * * *", concurrency_limit=1),
        limit=3,
    )


if __name__ == "__main__":
    main()
