"""Presentations (python-pptx): slides from top to bottom, with tables, groups and notes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BytesIO

import pptx
from pptx.shapes.base import BaseShape
from pptx.slide import Slide
from pptx.table import Table

from kiban.backends.parsers.outline import Outline, table_lines
from kiban.domain.document import ParsedDocument, Place


def read_slides(content: bytes, stem: str) -> ParsedDocument:
    presentation = pptx.Presentation(BytesIO(content))
    outline = Outline()
    first_title = ""
    for number, slide in enumerate(presentation.slides, start=1):
        title = _title(slide)
        first_title = first_title or title
        outline.turn_to(Place(slide=number, heading=title))
        for line in _lines(slide):
            outline.add(line)
    return outline.document(_named(presentation.core_properties.title or "") or first_title or stem)


def _title(slide: Slide) -> str:
    shape = slide.shapes.title
    return " ".join(shape.text_frame.text.split()) if shape is not None else ""


def _lines(slide: Slide) -> Iterator[str]:
    title = slide.shapes.title
    rest = [shape for shape in slide.shapes if title is None or shape.shape_id != title.shape_id]
    lines = list(_shapes(rest))
    notes = _notes(slide)
    if not lines and not notes and title is not None:
        lines = [_title(slide)]
    yield from lines
    if notes:
        yield f"ノート: {notes}"


def _shapes(shapes: Iterable[BaseShape]) -> Iterator[str]:
    for shape in sorted(shapes, key=lambda shape: (shape.top or 0, shape.left or 0)):
        if hasattr(shape, "shapes"):  # a group
            yield from _shapes(shape.shapes)
        elif getattr(shape, "has_table", False):
            table: Table = shape.table  # type: ignore[attr-defined]
            yield from table_lines(_rows(table), header=True if table.first_row else None)
        elif getattr(shape, "has_chart", False):
            yield from _chart(shape)
        elif shape.has_text_frame:
            for paragraph in shape.text_frame.paragraphs:  # type: ignore[attr-defined]
                yield " ".join(paragraph.text.split())


def _rows(table: Table) -> list[list[str]]:
    """Return texts; every cell of a merged range says what the range says."""
    rows = [[cell.text for cell in row.cells] for row in table.rows]
    for top, row in enumerate(table.rows):
        for left, cell in enumerate(row.cells):
            if cell.is_merge_origin:
                for down in range(cell.span_height):
                    rows[top + down][left : left + cell.span_width] = [cell.text] * cell.span_width
    return rows


def _chart(shape: BaseShape) -> Iterator[str]:
    chart = shape.chart  # type: ignore[attr-defined]
    if chart.has_title and chart.chart_title.has_text_frame:
        yield chart.chart_title.text_frame.text
    try:
        plots = list(chart.plots)
    except ValueError:  # python-pptx does not know every kind of chart (3-D ones); the slide goes on
        return
    for plot in plots:
        names = ["", *(str(series.name) for series in plot.series)]
        columns = [[_number(value) for value in series.values] for series in plot.series]
        rows = [
            [str(category), *values] for category, *values in zip(plot.categories, *columns, strict=False)
        ]
        yield from table_lines([names, *rows], header=True)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.12g}"


def _notes(slide: Slide) -> str:
    if not slide.has_notes_slide or slide.notes_slide.notes_text_frame is None:
        return ""
    return " ".join(slide.notes_slide.notes_text_frame.text.split())


def _named(title: str) -> str:
    return "" if title.lower() in ("powerpoint presentation", "powerpoint プレゼンテーション") else title
