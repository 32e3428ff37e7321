"""What answers cost on the machine that judged them: measured seconds, and a price only if one was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from kiban.domain.evidence import Arm, Scored

SHARED = 1_000  # answers that a cost is told for


@dataclass(frozen=True, slots=True)
class Prices:
    """What only the house knows, for who reads the report. What is None was not told, or not measured."""

    machine_hour: float | None = None
    currency: str = ""
    machines: int = 1  # that answered while judging
    licences: Mapping[str, str] = field(default_factory=dict)  # base model -> licence
    training_seconds: float | None = None
    training_watt_hours: float | None = None


@dataclass(frozen=True, slots=True)
class ArmCost:
    """How long one arm's answers took, and what a thousand of them cost."""

    arm: Arm
    answers: int
    median: float  # seconds until an answer was whole, several being asked at once
    slow: float  # seconds; one answer in twenty took longer
    machine_seconds: float | None  # for 1,000 answers; None for what another's machine wrote
    price: float | None  # for 1,000 answers


def costs(scored: Sequence[Scored], seconds: float, prices: Prices) -> list[ArmCost]:
    """Return every arm's cost, in the order of the arms.

    `seconds` is how long the asking took by the clock. All arms shared the machine in that time, so each
    bears the part that its answers' seconds are of all answers' seconds: an arm that takes twice as long
    has used twice as much of the machine, however many questions were under way at once.
    """
    own = [each for each in scored if each.arm is not Arm.HOSTED]
    whole = sum(each.seconds for each in own)
    return [
        _cost(arm, scored, seconds / whole if whole else 0.0, prices) for arm in Arm if _took(scored, arm)
    ]


def _cost(arm: Arm, scored: Sequence[Scored], worth: float, prices: Prices) -> ArmCost:
    """`worth` is how many seconds of the machine one second of an answer stands for."""
    took = _took(scored, arm)
    machine_seconds = None
    if arm is not Arm.HOSTED:
        machine_seconds = sum(took) * worth * prices.machines * SHARED / len(took)
    known = machine_seconds is not None and prices.machine_hour is not None
    return ArmCost(
        arm,
        len(took),
        float(np.percentile(took, 50)),
        float(np.percentile(took, 95)),
        machine_seconds,
        machine_seconds / 3600 * prices.machine_hour if known else None,  # type: ignore[operator]
    )


def _took(scored: Sequence[Scored], arm: Arm) -> list[float]:
    return [each.seconds for each in scored if each.arm is arm]
