"""The nights on one page: a chart for each kind of drift; self-contained HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template

from kiban.domain.drift import Drift, Night, Shift
from kiban.judge import phrases

SHOWN_NIGHTS = 90
NAMES = {
    Drift.MODEL: ("モデル", "the same passages, other answers"),
    Drift.RETRIEVAL: ("検索", "the same questions, other passages"),
    Drift.JUDGE: ("採点", "the same answers, other scores"),
}
_WIDTH, _HEIGHT = 880, 120  # of the plotted area


@dataclass(frozen=True, slots=True)
class Point:
    """One night of one measure, in the chart's coordinates."""

    x: float
    y: float
    night: Night
    shift: Shift


@dataclass(frozen=True, slots=True)
class Chart:
    """One kind of drift: a line for each measure."""

    drift: Drift
    lines: dict[str, list[Point]]


def render(nights: Sequence[Night]) -> str:
    """Return the page about the newest nights, at least one."""
    shown = nights[-SHOWN_NIGHTS:]
    return _template().render(
        nights=shown,
        last=shown[-1],
        sentence=sentence(shown[-1]),
        charts=[_chart(drift, shown) for drift in Drift],
        names=NAMES,
        phrases=phrases,
        width=_WIDTH,
        height=_HEIGHT,
    )


def sentence(night: Night) -> str:
    """Say in English what a night found."""
    if not night.drifts:
        return f"Nothing has drifted behind release {night.release_id}."
    told = [
        f"{each.drift}: {phrases.ENGLISH[each.measure]} {phrases.level(each.measure, each.old)} → "
        f"{phrases.level(each.measure, each.new)} on {each.questions} questions"
        for each in night.shifts
        if each.alarm
    ]
    return f"{'; '.join(told)}."


def _chart(drift: Drift, nights: Sequence[Night]) -> Chart:
    step = _WIDTH / max(len(nights) - 1, 1)
    lines: dict[str, list[Point]] = {}
    for number, night in enumerate(nights):
        for shift in night.shifts:
            if shift.drift is drift:
                point = Point(number * step, _HEIGHT * (1 - shift.new), night, shift)
                lines.setdefault(shift.measure, []).append(point)
    return Chart(drift, lines)


@lru_cache
def _template() -> Template:
    source = Path(__file__).with_name("drift.html.jinja").read_text("utf-8")
    house = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return house.from_string(source)
