"""The attacks on the gate, at a small scale; `kiban bench attacks B10 B10N` stages them in full."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from kiban.bench.attacks import drifting, exams, gate
from kiban.bench.attacks.stage import Stage
from kiban.domain.evidence import Arm, Outcome
from kiban.judge.verdict import decide
from kiban.settings import Settings
from kiban.wiring.furniture import Furniture


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(Furniture(Settings()), scale=0.005, hashed=True) as staged:
        yield staged


def test_six_bad_candidates_are_refused_each_for_its_own_fault_and_a_sound_one_is_released(
    stage: Stage,
) -> None:
    figure = gate.bad_candidates(stage)
    assert figure.passed, figure
    refused = dict(part.split(": ") for part in figure.note.split("; "))
    assert "guard correct" in refused["degraded"]
    assert refused["over-fitted"] == "audit membership"
    assert refused["slower"] == "guard seconds"
    assert refused["leaky"] == "audit exposed_masked"
    assert refused["wrong base"] == refused["truncated file"] == "BadWeights"


def test_candidates_that_are_no_better_hardly_ever_pass(stage: Stage) -> None:
    figure = gate.no_difference(stage)
    assert figure.passed, figure
    assert figure.trials == 3 * 20


def test_nights_on_which_nothing_changed_seldom_raise_the_alarm(stage: Stage) -> None:
    figure = drifting.quiet_nights(stage)
    assert figure.passed, figure
    assert figure.trials == 2 * 5 * drifting.MONTH
    assert not figure.note.endswith("by 0 of 5")


def test_drawn_exams_have_the_skills_asked_for_and_are_alike_within_a_document() -> None:
    scored = exams.draw(exams.UNTAUGHT, exams.TAUGHT, documents=300, each=8, seed=3)
    new = [each for each in scored if each.arm is Arm.ADAPTED_RAG and each.question.answerable]
    cited = np.array([each.cited for each in new])
    assert abs(cited.mean() - exams.TAUGHT.cited * (1 - exams.TAUGHT.over_abstained)) < 0.05
    by_document = cited.reshape(300, -1).mean(axis=1)
    independent = cited.mean() * (1 - cited.mean()) / 6
    assert by_document.var() > 1.3 * independent
    assert decide("c", scored).outcome is Outcome.PASS
