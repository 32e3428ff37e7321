"""The order in which a person reads the lines of a page, where the file does not say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

_TALL = 1.5  # height ÷ width above which a line is written downwards
_FEWEST_LINES = 3  # of a tier of columns


@dataclass(frozen=True, slots=True)
class Line:
    """A line and the box around it; `top` is less than `bottom`."""

    text: str
    left: float
    top: float
    right: float
    bottom: float

    @property
    def is_vertical(self) -> bool:
        return len(self.text) > 1 and self.bottom - self.top > _TALL * (self.right - self.left)


def in_reading_order(lines: Sequence[Line]) -> list[str]:
    """Return texts from top to bottom and left to right, or column by column from the right where most
    are written downwards. What stands on one line is joined."""
    if 2 * sum(line.is_vertical for line in lines) > len(lines):
        return [line.text for tier in _tiers(lines) for line in sorted(tier, key=_from_the_right)]
    if not lines:
        return []
    height = median(line.bottom - line.top for line in lines)
    rows: list[list[Line]] = []
    for line in sorted(lines, key=_middle):
        if rows and _middle(line) - _middle(rows[-1][0]) < height / 2:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [" ".join(line.text for line in sorted(row, key=lambda line: line.left)) for row in rows]


def _tiers(lines: Sequence[Line]) -> list[list[Line]]:
    """Cut a page of columns where a gap runs across it, from the top."""
    tiers: list[list[Line]] = []
    reach = float("-inf")
    for line in sorted(lines, key=lambda line: line.top):
        if not tiers or (line.top > reach and len(tiers[-1]) >= _FEWEST_LINES):
            tiers.append([])
        tiers[-1].append(line)
        reach = max(reach, line.bottom)
    return tiers


def _from_the_right(line: Line) -> tuple[float, float]:
    return -(line.left + line.right), line.top


def _middle(line: Line) -> float:
    return (line.top + line.bottom) / 2
