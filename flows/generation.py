"""When an index generation is built: by hand, beside everything else."""

from __future__ import annotations

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from kiban.wiring import house


@task(cache_policy=NO_CACHE, retries=3, retry_delay_seconds=10)  # it continues where it stopped
def fill(embedder: str | None, rate: float | None) -> int:
    return house().generations.build(embedder, rate)


@flow(name="build generation")
def build_generation(embedder: str | None = None, rate: float | None = None) -> int:
    """Embed every chunk with another embedder, beside the generation that answers.

    Args:
        embedder: A known name, a folder or a hub id; empty for the one in the settings.
        rate: Chunks a second, at most; empty for as fast as it goes.
    """
    return fill(embedder, rate)
