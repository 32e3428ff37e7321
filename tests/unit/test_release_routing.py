"""Which adapter answers is a matter of what the asker may read, and of nothing else."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from kiban.domain.access import ALL, NOBODY, Audience, Principal
from kiban.domain.release import Release, ZoneAdapter
from kiban.release.routing import choices

BASE = Release("qwen", None, None, None, "e5", "e" * 64, 1, "p1", None)
GROUPS = ("hr", "legal", "lab", "営業")

groups = st.frozensets(st.sampled_from(GROUPS), min_size=1)
people = st.builds(Principal, st.just("someone"), st.frozensets(st.sampled_from(GROUPS)))
audiences = st.one_of(st.just(ALL), st.just(NOBODY), st.builds(Audience, groups))


def zone(*of: str) -> ZoneAdapter:
    names = tuple(sorted(of))
    return ZoneAdapter(names, f"{'+'.join(names)}@1", "/shelf", "s" * 64, f"of {names}")


def released(zones: frozenset[frozenset[str]], *, everyone: bool = False) -> Release:
    release = replace(BASE, adapter="everyone@1", curriculum_sha256="of all") if everyone else BASE
    for one in zones:
        release = release.with_zone(zone(*one))
    return release


releases = st.builds(released, st.frozensets(groups), everyone=st.booleans())


@given(releases, people, audiences)
def test_an_adapter_answers_only_those_who_may_read_its_zone(
    release: Release, who: Principal, best: Audience
) -> None:
    for answering, name in choices(release, who, best):
        adapter = next((one for one in release.zones if one.name == name), None)
        assert name == release.adapter or (adapter and who.may_read(adapter.audience))
        assert answering.zones == ((adapter,) if adapter else ())


@given(releases, people, audiences)
def test_adapters_of_zones_one_may_not_read_change_nothing(
    release: Release, who: Principal, best: Audience
) -> None:
    """Neither which weights answer, nor what the release is called."""
    forbidden = [one for one in release.zones if not who.may_read(one.audience)]
    without = release.without([one.curriculum_sha256 for one in forbidden])
    assert choices(release, who, best) == choices(without, who, best)
    assert release.narrowed().id == without.narrowed().id


@given(releases, people, groups)
def test_a_readable_zones_own_adapter_goes_first_and_everyones_is_next(
    release: Release, who: Principal, of: frozenset[str]
) -> None:
    with_own = release.with_zone(zone(*of))
    others = (release.adapter,) if release.adapter else ()
    own = (zone(*of).name,) if who.may_read(Audience(of)) else ()
    assert tuple(name for _, name in choices(with_own, who, Audience(of))) == (*own, *others)


@given(releases, people)
def test_what_everyone_may_read_is_answered_with_everyones_weights(release: Release, who: Principal) -> None:
    for best in (ALL, NOBODY):
        assert choices(release, who, best) == choices(release.narrowed(), who, best)
