"""When an index generation is built: by hand, beside everything else."""

from __future__ import annotations

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from kiban.wiring import house


@task(cache_policy=NO_CACHE, retries=3, retry_delay_seconds=10)  # it continues where it stopped
def fill(embedder: str | None, rate: float | None, tokenizer: str | None, chunking: str | None) -> int:
    return house().generations.build(embedder, rate, tokenizer=tokenizer, chunking=chunking)


@flow(name="build generation")
def build_generation(
    embedder: str | None = None,
    rate: float | None = None,
    tokenizer: str | None = None,
    chunking: str | None = None,
) -> int:
    """Cut and embed everything another way, beside the generation that answers.

    Args:
        embedder: A known name, a folder or a hub id; empty for the one in the settings, or the one in force
            where a tokeniser or a chunking is named.
        rate: Chunks a second, at most; empty for as fast as it goes.
        tokenizer: Such as sudachi-core-A-1; empty for the one in force.
        chunking: Target and most of a chunk in full-width characters, such as 250-350; empty: as in force.
    """
    return fill(embedder, rate, tokenizer, chunking)
