"""The attacks on releases, at a small scale; `kiban bench attacks B9 F3 F4 F6` stages them in full."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kiban.bench.attacks import releases, serving
from kiban.bench.attacks.stage import Stage
from kiban.settings import Settings
from kiban.wiring.furniture import Furniture


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(Furniture(Settings()), scale=0.1, hashed=True) as staged:
        yield staged


def test_the_base_answers_as_soon_as_a_learnt_document_is_gone_or_narrowed(stage: Stage) -> None:
    assert releases.tainted_adapter(stage).passed


def test_of_two_who_promote_at_once_one_is_champion_and_rolling_back_is_routing(stage: Stage) -> None:
    assert releases.promotion_race(stage).passed


def test_an_altered_ledger_is_detected(stage: Stage) -> None:
    assert releases.altered_ledger(stage).passed


def test_nobody_goes_away_with_nothing_while_releases_are_swapped_and_servers_fail() -> None:
    with Stage(Furniture(Settings()), scale=0.01, hashed=True) as own:
        figure = serving.model_faults(own)
    assert figure.passed, figure
