"""From ruled lines to the cells of tables: pure geometry, in points, upwards from the lower left corner.

As Nurminen has it, "Algorithmic extraction of data in tables in PDF documents" (2013): lines that touch form
a table, their positions a grid, and squares of the grid without a wall between them one cell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

TOLERANCE = 3.0  # points by which lines may miss each other
_MOST_LINES = 400  # a table of 100 rows and 10 columns has 112
_FEWEST_LINES = 3  # across, and down: two rows and two columns
_MOST_CELLS = 4_000


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across (`at` is its y) or down (`at` is its x)."""

    at: float
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Cell:
    """A rectangle that spans rows [top_row, bottom_row) and columns [left_column, right_column)."""

    left: float
    bottom: float
    right: float
    top: float
    top_row: int
    left_column: int
    bottom_row: int
    right_column: int


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: its rows from top to bottom, its columns from left to right."""

    xs: Sequence[float]  # of lines down, rising
    ys: Sequence[float]  # of lines across, falling
    cells: Sequence[Cell]


def grids(across: Iterable[Rule], down: Iterable[Rule]) -> list[Grid]:
    """Return the tables that lines draw, from top to bottom."""
    rows, columns = _joined(across), _joined(down)
    if min(len(rows), len(columns)) < _FEWEST_LINES or len(rows) + len(columns) > _MOST_LINES:
        return []
    found = [_grid(*lines) for lines in _touching(rows, columns) if min(map(len, lines)) >= _FEWEST_LINES]
    return sorted((grid for grid in found if grid.cells), key=lambda grid: -grid.ys[0])


def _joined(lines: Iterable[Rule]) -> list[Rule]:
    """Give lines that nearly lie on one another one position, and join what overlaps there."""
    joined: list[Rule] = []
    cluster: list[Rule] = []
    for line in sorted(lines, key=lambda line: line.at):
        if cluster and line.at - cluster[0].at > TOLERANCE:
            joined += _overlapping(cluster)
            cluster = []
        cluster.append(line)
    return [*joined, *_overlapping(cluster)]


def _overlapping(cluster: Sequence[Rule]) -> Iterator[Rule]:
    if not cluster:
        return
    at = sum(line.at for line in cluster) / len(cluster)
    first, *rest = sorted((line.start, line.end) for line in cluster)
    start, end = first
    for next_start, next_end in rest:
        if next_start > end + TOLERANCE:
            yield Rule(at, start, end)
            start, end = next_start, next_end
        end = max(end, next_end)
    yield Rule(at, start, end)


def _touching(across: Sequence[Rule], down: Sequence[Rule]) -> list[tuple[list[Rule], list[Rule]]]:
    """Return groups of lines that hang together by their crossings."""
    group = list(range(len(across) + len(down)))

    def root(number: int) -> int:
        while group[number] != number:
            group[number] = number = group[group[number]]
        return number

    for i, row in enumerate(across):
        low, high = row.at - TOLERANCE, row.at + TOLERANCE
        left, right = row.start - TOLERANCE, row.end + TOLERANCE
        for j, column in enumerate(down, start=len(across)):
            if left <= column.at <= right and column.start <= high and column.end >= low:
                group[root(j)] = root(i)
    groups: defaultdict[int, tuple[list[Rule], list[Rule]]] = defaultdict(lambda: ([], []))
    for number, line in enumerate([*across, *down]):
        groups[root(number)][number >= len(across)].append(line)
    return list(groups.values())


def _grid(across: Sequence[Rule], down: Sequence[Rule]) -> Grid:
    xs = sorted({line.at for line in down})
    ys = sorted({line.at for line in across}, reverse=True)
    if (len(xs) - 1) * (len(ys) - 1) > _MOST_CELLS:
        return Grid(xs, ys, ())
    walls = _walls(down, xs, [-y for y in ys], flip=True)  # (column line, row)
    floors = _walls(across, ys, xs, flip=False)  # (row line, column)
    return Grid(xs, ys, list(_cells(xs, ys, walls, floors)))


def _walls(
    lines: Sequence[Rule], positions: Sequence[float], crossing: Sequence[float], *, flip: bool
) -> set[tuple[int, int]]:
    """Return (which position, which gap between crossing lines) for every stretch that a line covers."""
    place = {at: number for number, at in enumerate(positions)}
    covered: set[tuple[int, int]] = set()
    for line in lines:
        start, end = (-line.end, -line.start) if flip else (line.start, line.end)
        for gap, (before, after) in enumerate(pairwise(crossing)):
            if start <= before + TOLERANCE and end >= after - TOLERANCE:
                covered.add((place[line.at], gap))
    return covered


def _cells(
    xs: Sequence[float], ys: Sequence[float], walls: set[tuple[int, int]], floors: set[tuple[int, int]]
) -> Iterator[Cell]:
    """Yield rectangles closed on all sides: from each square right to the next wall, and down to a floor."""
    taken: set[tuple[int, int]] = set()
    for row in range(len(ys) - 1):
        for column in range(len(xs) - 1):
            if (row, column) in taken or (column, row) not in walls or (row, column) not in floors:
                continue
            right = next((x for x in range(column + 1, len(xs)) if (x, row) in walls), None)
            bottom = next((y for y in range(row + 1, len(ys)) if (y, column) in floors), None)
            if right is None or bottom is None:
                continue
            taken.update((y, x) for y in range(row, bottom) for x in range(column, right))
            yield Cell(xs[column], ys[bottom], xs[right], ys[row], row, column, bottom, right)
