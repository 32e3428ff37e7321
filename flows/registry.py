"""What people do on the registry's page is noticed, judged, and fulfilled or answered."""

from __future__ import annotations

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from kiban.release.door import Wish
from kiban.wiring import house


@task(cache_policy=NO_CACHE)
def look() -> list[Wish]:
    return house().door.wishes()


@task(cache_policy=NO_CACHE, retries=1, retry_delay_seconds=5)
def fulfil(wish: Wish) -> str:
    return house().door.fulfil(wish)


@flow(name="follow-registry")
def follow_registry() -> list[str]:
    """Judge what somebody called the challenger; judge, then release or move back, a champion moved by hand;
    put back a version that was deleted while it answers."""
    return [fulfil(wish) for wish in look()]
