"""Every night the release in force is asked what it was asked on its first night."""

from __future__ import annotations

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from kiban.domain.drift import Night
from kiban.wiring import house


@task(cache_policy=NO_CACHE, retries=1, retry_delay_seconds=30)
def examine() -> Night | None:
    return house().nights.examine()


@flow(name="nightly")
def nightly() -> Night | None:
    """Ask the frozen questions; the run fails when the model, the retrieval or the judge has drifted."""
    night = examine()
    create_markdown_artifact(key="drift", markdown=house().nights.told(night))
    return house().nights.conclude(night)
