"""Every zone that is large enough gets weights of its own, judged and released like everyone's."""

from __future__ import annotations

from prefect import State, flow, task
from prefect.cache_policies import NO_CACHE

from flows.adapt import judge, register, train_adapter
from kiban.domain.access import Audience
from kiban.domain.learning import Curriculum
from kiban.wiring import house


@task(cache_policy=NO_CACHE)
def write_curriculum(groups: list[str]) -> Curriculum:
    return house().weights.write_curriculum(Audience(frozenset(groups)))


@task(cache_policy=NO_CACHE)
def large_zones() -> list[list[str]]:
    return [sorted(zone.audience.groups) for zone in house().weights.zones() if zone.large]


@flow(name="adapt-zone")
def adapt_zone(groups: list[str], then_judge: bool = True) -> str:
    """Train an adapter on what one zone's documents say, and register it as a candidate.

    Args:
        groups: The groups that may read exactly these documents.
        then_judge: Judge the candidate at once, and promote it if it passes.
    """
    curriculum = write_curriculum(groups)
    candidate = register(curriculum, train_adapter(curriculum))
    if then_judge:
        judge(candidate.id)
    return candidate.id


@flow(name="adapt-zones")
def adapt_zones(then_judge: bool = True) -> list[State[str]]:
    """Train an adapter for every zone that is large enough. One that fails does not keep the others waiting.

    Args:
        then_judge: Judge each candidate at once, and promote it if it passes.
    """
    return [adapt_zone(groups, then_judge, return_state=True) for groups in large_zones()]
