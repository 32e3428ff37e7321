"""Tables drawn with lines on a PDF page: lines and texts from pdfium, cells by grid.py.

pdfium is called without pypdfium2's objects here: a page has hundreds of drawn things, and one object for
each takes longer than all the text of the page.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from kiban.backends.parsers.grid import Cell, Grid, Rule, grids
from kiban.backends.parsers.reflow import join

_MOST_OBJECTS = 3_000  # on a page; above that it is a drawing
_MOST_SEGMENTS = 4_000  # of its paths together
_DEEPEST = 3  # forms within forms
_THIN = 3.0  # points: what is thinner is a line, whether stroked or filled
_SHORTEST = 3.0
_STRAIGHT = 1.0  # points by which a line may lean

_RECTANGLE = (4, 5)  # segments

Matrix = tuple[float, float, float, float, float, float]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class RuledTable:
    """A table and where it stands, in points of the page: upwards from its lower left corner."""

    left: float
    bottom: float
    right: float
    top: float
    rows: list[list[str]]

    @property
    def is_filled(self) -> bool:
        """Tell a table from boxes of a drawing: two rows and columns at least, and text in half the cells."""
        cells = [cell for row in self.rows for cell in row]
        return len(self.rows) > 1 and len(self.rows[0]) > 1 and 2 * sum(map(bool, cells)) >= len(cells)


def ruled_tables(page: pypdfium2.PdfPage, text: pypdfium2.PdfTextPage) -> list[RuledTable]:
    """Return the tables of a page from top to bottom; none of a page that is turned or a drawing."""
    if page.get_rotation() or pdfium.FPDFPage_CountObjects(page) > _MOST_OBJECTS:
        return []
    lines = _Lines()
    for drawn in _paths(page):
        lines.path(*drawn)
        if lines.segments > _MOST_SEGMENTS:
            return []
    found = [_table(grid, text) for grid in grids(lines.across, lines.down)]
    return [table for table in found if table.is_filled]


def _table(grid: Grid, text: pypdfium2.PdfTextPage) -> RuledTable:
    """Read the cells. One that spans rows says in each what it says; one that spans columns, in the first."""
    rows = [[""] * (len(grid.xs) - 1) for _ in grid.ys[1:]]
    for cell in grid.cells:
        says = _text(cell, text)
        for row in range(cell.top_row, cell.bottom_row):
            rows[row][cell.left_column] = says
    return RuledTable(grid.xs[0], grid.ys[-1], grid.xs[-1], grid.ys[0], rows)


def _text(cell: Cell, text: pypdfium2.PdfTextPage) -> str:
    words: str = text.get_text_bounded(left=cell.left, bottom=cell.bottom, right=cell.right, top=cell.top)
    return reduce(join, (line.strip() for line in words.split("\n")))


def _paths(page: pypdfium2.PdfPage) -> Iterator[tuple[ctypes.c_void_p, Matrix | None]]:
    """Yield the paths of a page and of the forms on it, with where the form puts them."""
    count, get = pdfium.FPDFPage_CountObjects, pdfium.FPDFPage_GetObject
    waiting: list[tuple[Any, Any, Any, Matrix | None, int]] = [(page.raw, count, get, None, 0)]
    while waiting:
        holder, count, get, placed, depth = waiting.pop()
        for number in range(count(holder)):
            drawn = get(holder, number)
            kind = pdfium.FPDFPageObj_GetType(drawn)
            if kind == pdfium.FPDF_PAGEOBJ_PATH:
                yield drawn, placed
            elif kind == pdfium.FPDF_PAGEOBJ_FORM and depth < _DEEPEST:
                form = (pdfium.FPDFFormObj_CountObjects, pdfium.FPDFFormObj_GetObject)
                waiting.append((drawn, *form, _after(_matrix(drawn), placed), depth + 1))


def _four_numbers() -> tuple[ctypes.c_float, ...]:
    return tuple(ctypes.c_float() for _ in range(4))


@dataclass(slots=True)
class _Lines:
    """Lines across and down, as they are found."""

    across: list[Rule] = field(default_factory=list)
    down: list[Rule] = field(default_factory=list)
    segments: int = 0
    _box: tuple[ctypes.c_float, ...] = field(
        default_factory=lambda: tuple(ctypes.c_float() for _ in range(4))
    )

    def path(self, drawn: ctypes.c_void_p, placed: Matrix | None) -> None:
        """Take a line or a rectangle by the box around it, and what has more pieces by these."""
        left, bottom, right, top = self._box
        if not pdfium.FPDFPageObj_GetBounds(drawn, left, bottom, right, top):
            return
        corners = _on(placed, (left.value, bottom.value)), _on(placed, (right.value, top.value))
        (x0, x1), (y0, y1) = (sorted(pair) for pair in zip(*corners, strict=True))
        if y1 - y0 <= _THIN:
            self._across((y0 + y1) / 2, x0, x1)
        elif x1 - x0 <= _THIN:
            self._down((x0 + x1) / 2, y0, y1)
        else:
            self.segments += (count := pdfium.FPDFPath_CountSegments(drawn))
            if count in _RECTANGLE:
                self._rectangle(x0, y0, x1, y1)
            elif count > max(_RECTANGLE) and self.segments <= _MOST_SEGMENTS and not _is_curved(drawn):
                matrix = _after(_matrix(drawn), placed)
                for start, end in _segments(drawn, count):
                    self._segment(_on(matrix, start), _on(matrix, end))

    def _rectangle(self, x0: float, y0: float, x1: float, y1: float) -> None:
        for y in (y0, y1):
            self._across(y, x0, x1)
        for x in (x0, x1):
            self._down(x, y0, y1)

    def _segment(self, start: Point, end: Point) -> None:
        (x0, x1), (y0, y1) = sorted((start[0], end[0])), sorted((start[1], end[1]))
        if y1 - y0 <= _STRAIGHT:
            self._across((y0 + y1) / 2, x0, x1)
        elif x1 - x0 <= _STRAIGHT:
            self._down((x0 + x1) / 2, y0, y1)

    def _across(self, y: float, start: float, end: float) -> None:
        if end - start >= _SHORTEST:
            self.across.append(Rule(y, start, end))

    def _down(self, x: float, start: float, end: float) -> None:
        if end - start >= _SHORTEST:
            self.down.append(Rule(x, start, end))


def _is_curved(drawn: ctypes.c_void_p) -> bool:
    second = pdfium.FPDFPath_GetPathSegment(drawn, 1)
    return bool(pdfium.FPDFPathSegment_GetType(second) == pdfium.FPDF_SEGMENT_BEZIERTO)


def _segments(drawn: ctypes.c_void_p, count: int) -> Iterator[tuple[Point, Point]]:
    """Yield the straight pieces of a path."""
    x, y = ctypes.c_float(), ctypes.c_float()
    begun: Point | None = None
    last: Point | None = None
    for number in range(count):
        segment = pdfium.FPDFPath_GetPathSegment(drawn, number)
        pdfium.FPDFPathSegment_GetPoint(segment, x, y)
        here = (x.value, y.value)
        kind = pdfium.FPDFPathSegment_GetType(segment)
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            begun = here
        elif kind == pdfium.FPDF_SEGMENT_LINETO and last is not None:
            yield last, here
        last = here
        if begun is not None and pdfium.FPDFPathSegment_GetClose(segment):
            yield here, begun
            last = begun


def _matrix(drawn: ctypes.c_void_p) -> Matrix:
    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFPageObj_GetMatrix(drawn, matrix)
    return matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f


def _after(inner: Matrix, outer: Matrix | None) -> Matrix:
    """Return the matrix that does `inner` first (ISO 32000-1, 8.3.4)."""
    if outer is None:
        return inner
    a, b, c, d, e, f = inner
    g, h, i, j, k, l = outer  # noqa: E741
    return (a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + l)


def _on(matrix: Matrix | None, point: Point) -> Point:
    if matrix is None:
        return point
    a, b, c, d, e, f = matrix
    x, y = point
    return a * x + c * y + e, b * x + d * y + f
