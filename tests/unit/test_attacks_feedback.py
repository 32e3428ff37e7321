from __future__ import annotations

import pytest

from kiban.adapt import feedback
from kiban.bench.attacks.feedback import UNBOUNDED, poisoned_feedback
from kiban.bench.attacks.stage import Stage
from kiban.settings import Settings
from kiban.wiring.furniture import Furniture


@pytest.fixture
def stage() -> Stage:
    return Stage(Furniture(Settings()))


def test_poisoned_feedback_stays_within_its_doses(stage: Stage) -> None:
    figure = poisoned_feedback(stage)
    assert figure.passed, figure
    assert "alone 0.0%; one curator 0.0%; two curators, one name 0.8%" in figure.value
    assert "false answers 0.0%" in figure.value


def test_it_would_not_without_the_share_of_all_feedback(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = poisoned_feedback(stage).value
    monkeypatch.setattr(feedback, "MOST_TOGETHER", 0.9)
    unheld = poisoned_feedback(stage)
    assert not unheld.passed
    assert (f"{UNBOUNDED} 20.0%" in held, f"{UNBOUNDED} 28.1%" in unheld.value) == (True, True)
