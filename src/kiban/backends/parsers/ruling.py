"""Tables drawn with lines on a PDF page: lines from pdfium, cells by pdfplumber's geometry.

pdfplumber alone reads a page ten times slower than this, since it goes through pdfminer. Its way from lines
to cells is that of Nurminen, "Algorithmic extraction of data in tables in PDF documents" (2013).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium
from pdfplumber.table import (
    Table,
    cells_to_tables,
    edges_to_intersections,
    intersections_to_cells,
    merge_edges,
)

from kiban.backends.parsers.reflow import join

_MOST_OBJECTS = 3_000  # on a page; above that it is a drawing
_MOST_SEGMENTS = 4_000  # of its paths together
_MOST_EDGES = 400  # after lines that touch are joined; a table of 100 rows and 10 columns has 112
_TOLERANCE = 3.0  # points by which lines may miss each other
_STRAIGHT = 1.0  # points by which a line may lean

Edge = dict[str, Any]  # as pdfplumber has it; "top" and "bottom" grow downwards
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
    """Return the tables of a page from top to bottom."""
    edges = _edges(page)
    if not edges:
        return []
    tolerances = (_TOLERANCE,) * 4
    joined = [edge for edge in merge_edges(edges, *tolerances) if _length(edge) >= _TOLERANCE]
    if len(joined) > _MOST_EDGES:
        return []
    cells = intersections_to_cells(edges_to_intersections(joined, _TOLERANCE, _TOLERANCE))
    found = [_table(Table(None, group), text) for group in cells_to_tables(cells)]  # type: ignore[arg-type]
    return sorted((table for table in found if table.is_filled), key=lambda table: -table.top)


def _table(table: Table, text: pypdfium2.PdfTextPage) -> RuledTable:
    left, top, right, bottom = table.bbox
    rows = [[_cell(cell, text) for cell in row.cells] for row in table.rows]
    return RuledTable(left, -bottom, right, -top, rows)


def _cell(cell: tuple[float, float, float, float] | None, text: pypdfium2.PdfTextPage) -> str:
    if cell is None:  # part of a cell that spans
        return ""
    left, top, right, bottom = cell
    words: str = text.get_text_bounded(left=left, bottom=-bottom, right=right, top=-top)
    lines = words.split("\n")
    return reduce(join, (line.strip() for line in lines))


def _edges(page: pypdfium2.PdfPage) -> list[Edge]:
    """Return lines across and down; none for a page that is turned or too busy to be a table."""
    if page.get_rotation() or pdfium.FPDFPage_CountObjects(page) > _MOST_OBJECTS:
        return []
    edges: list[Edge] = []
    seen = 0
    for drawn in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_PATH], max_depth=3):
        seen += max(pdfium.FPDFPath_CountSegments(drawn.raw), 0)
        if seen > _MOST_SEGMENTS:
            return []
        for start, end in _lines(drawn):
            if edge := _edge(start, end):
                edges.append(edge)
    return edges


def _edge(start: Point, end: Point) -> Edge | None:
    (x0, x1), (y0, y1) = sorted((start[0], end[0])), sorted((start[1], end[1]))
    width, height = x1 - x0, y1 - y0
    if min(width, height) > _STRAIGHT or max(width, height) < _STRAIGHT:
        return None
    return {
        "x0": x0,
        "x1": x1,
        "top": -y1,
        "bottom": -y0,
        "width": width,
        "height": height,
        "orientation": "h" if height <= width else "v",
    }


def _lines(drawn: pypdfium2.PdfObject) -> Iterator[tuple[Point, Point]]:
    """Yield the straight pieces of a path, on the page."""
    matrix = drawn.get_matrix()
    container = drawn.container
    while container is not None:
        matrix = matrix.multiply(container.get_matrix())
        container = container.container
    begun: Point | None = None
    last: Point | None = None
    for kind, point, closes in _segments(drawn):
        here = matrix.on_point(*point)
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            begun = here
        elif kind == pdfium.FPDF_SEGMENT_LINETO and last is not None:
            yield last, here
        last = here
        if closes and begun is not None:
            yield here, begun
            last = begun


def _segments(drawn: pypdfium2.PdfObject) -> Iterator[tuple[int, Point, bool]]:
    x, y = ctypes.c_float(), ctypes.c_float()
    for number in range(pdfium.FPDFPath_CountSegments(drawn.raw)):
        segment = pdfium.FPDFPath_GetPathSegment(drawn.raw, number)
        pdfium.FPDFPathSegment_GetPoint(segment, x, y)
        kind = pdfium.FPDFPathSegment_GetType(segment)
        yield kind, (x.value, y.value), bool(pdfium.FPDFPathSegment_GetClose(segment))


def _length(edge: Edge) -> float:
    return float(edge["x1"] - edge["x0"] if edge["orientation"] == "h" else edge["bottom"] - edge["top"])
