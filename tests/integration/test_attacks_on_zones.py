"""The attacks on zones, at a small scale; `kiban bench attacks B2 B3 B4` stages them in full."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kiban.bench.attacks import by_name, zones
from kiban.bench.attacks.stage import Stage
from kiban.settings import Settings
from kiban.wiring.furniture import Furniture

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),  # libraries' own
]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(Furniture(Settings()), scale=0.1, hashed=True) as staged:
        yield staged


def test_weights_are_the_same_whatever_others_have_stored(stage: Stage) -> None:
    assert zones.weights_apart(stage).passed


def test_a_mixed_curriculum_is_refused_at_every_door(stage: Stage) -> None:
    assert zones.mixed_curricula(stage).passed


def test_no_client_gets_an_adapter_by_naming_it(stage: Stage) -> None:
    assert by_name.adapter_by_name(stage).passed
