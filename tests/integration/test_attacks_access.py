"""The attacks on access, staged small: each passes, and none of them idly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kiban.bench.attacks import ATTACKS, stage_all
from kiban.bench.attacks.stage import Stage
from kiban.settings import Settings
from kiban.wiring.furniture import Furniture


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    settings = Settings(state=tmp_path_factory.mktemp("state"))
    with Stage(Furniture(settings), scale=0.005, hashed=True) as stage:
        yield stage


@pytest.mark.parametrize("id", ["A2", "A4", "A5", "A9"])
def test_an_attack_on_access_gets_nothing(stage: Stage, id: str) -> None:
    assert id in ATTACKS
    (figure,) = stage_all([id], stage)
    assert figure.passed, figure
    assert figure.trials > 0
