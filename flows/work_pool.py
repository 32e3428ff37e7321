"""What `prefect deploy --all` reads, made from the list that is served.

`python -m flows.work_pool POOL FOLDER > FILE`; FOLDER is where the checkout lies on the machines of the pool.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import yaml
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.deployments.runner import RunnerDeployment

from flows.serve import deployments
from kiban.wiring import house

HEADER = "# Written by `python -m flows.work_pool {} {}`: what runs when stands in flows/serve.py.\n"


def deploy_file(found: Sequence[RunnerDeployment], pool: str, folder: str) -> str:
    """Return a prefect.yaml with these deployments, for a work pool."""
    step = {"prefect.deployments.steps.set_working_directory": {"directory": folder}}
    written = {"name": "kiban", "pull": [step], "deployments": [_entry(each, pool) for each in found]}
    return HEADER.format(pool, folder) + yaml.safe_dump(written, sort_keys=False)


def _entry(deployment: RunnerDeployment, pool: str) -> dict[str, Any]:
    return {
        "name": deployment.name,
        "entrypoint": deployment.entrypoint,
        "parameters": dict(deployment.parameters),
        "concurrency_limit": deployment.concurrency_limit,
        "schedules": [_schedule(each.schedule) for each in deployment.schedules or ()],
        "work_pool": {"name": pool},
    }


def _schedule(schedule: Any) -> dict[str, Any]:
    match schedule:
        case CronSchedule():
            return {"cron": schedule.cron}
        case IntervalSchedule():
            seconds, anchor = schedule.interval.total_seconds(), schedule.anchor_date.isoformat()
            return {"interval": seconds, "anchor_date": anchor}
        case _:
            raise TypeError(f"a schedule of another kind: {schedule!r}")


def main() -> None:
    pool, folder = sys.argv[1:]
    print(deploy_file(deployments(house().documents.schedules()), pool, folder), end="")


if __name__ == "__main__":
    main()
