"""Workbooks (openpyxl): each row a line that names its columns, each range of cells a place."""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise
from math import inf
from typing import NamedTuple

import openpyxl
from openpyxl.cell import Cell
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from kiban.backends.parsers.outline import Outline, table_lines
from kiban.domain.document import ParsedDocument, Place
from kiban.errors import OversizeFile

MOST_CELLS = 5_000_000
ROWS_A_PIECE = 20  # lines that share one range of cells as their place


def read_sheets(content: bytes, stem: str) -> ParsedDocument:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # openpyxl warns of charts and rules it does not keep
        workbook = openpyxl.load_workbook(BytesIO(content), data_only=True)
    outline = Outline()
    for sheet in workbook.worksheets:
        if sheet.sheet_state == "visible":  # a person would have to unhide the others to see what we quote
            for cells, lines in _pieces(sheet):
                outline.turn_to(Place(sheet=sheet.title, anchor=cells))
                outline.add("\n".join(lines))
    return outline.document(workbook.properties.title or stem)


Texts = dict[tuple[int, int], str]  # by row and column; cells that hold nothing are not there


class _Line(NamedTuple):
    text: str
    row: int
    left: int  # columns, from 1
    right: int


def _pieces(sheet: Worksheet) -> Iterator[tuple[str, list[str]]]:
    """Yield ranges of cells, "B2:D21", and the lines they say."""
    lines = list(_lines(sheet))
    for start in range(0, len(lines), ROWS_A_PIECE):
        piece = lines[start : start + ROWS_A_PIECE]
        first = f"{get_column_letter(min(line.left for line in piece))}{min(line.row for line in piece)}"
        last = f"{get_column_letter(max(line.right for line in piece))}{max(line.row for line in piece)}"
        yield f"{first}:{last}", [line.text for line in piece]


def _lines(sheet: Worksheet) -> Iterator[_Line]:
    """Yield the rows of each table of a sheet; single cells above a table are its caption."""
    for table in _tables(_texts(sheet)):
        columns = sorted({column for _, column in table})
        numbers = sorted({row for row, _ in table})
        rows = [[table.get((row, column), "") for column in columns] for row in numbers]
        while len(rows) > 1 and len(set(filter(None, rows[0]))) == 1:
            caption = next(filter(None, rows.pop(0)))
            yield _Line(caption, numbers.pop(0), columns[0], columns[-1])
        lines = table_lines(rows)  # a row each, but for one that names the columns
        for line, number in zip(lines, numbers[len(rows) - len(lines) :], strict=True):
            yield _Line(line, number, columns[0], columns[-1])


def _tables(texts: Texts) -> Iterator[Texts]:
    """Cut a sheet where rows are empty, and where an empty column has two columns on either side: one
    alone is more often a label apart from its value."""
    parts = _cut(texts, axis=0, narrowest=1)
    if len(parts) == 1:
        parts = _cut(texts, axis=1, narrowest=2)
    if len(parts) == 1:
        yield texts
    else:
        for part in parts:
            yield from _tables(part)


def _cut(texts: Texts, *, axis: int, narrowest: int) -> list[Texts]:
    used = sorted({place[axis] for place in texts})
    starts = [position for position in used if position - 1 not in used]
    runs = [
        [position for position in used if start <= position < end] for start, end in pairwise([*starts, inf])
    ]
    if any(len(run) < narrowest for run in runs):
        return [texts]
    return [
        {place: text for place, text in texts.items() if run[0] <= place[axis] <= run[-1]} for run in runs
    ]


def _texts(sheet: Worksheet) -> Texts:
    """Return texts by row and column; every cell of a merged range says what the range says.

    Only cells that exist are touched: a sheet of three cells can claim to be a million rows high.
    """
    rows, columns = _hidden(sheet)
    texts = {
        place: text
        for place, cell in sheet._cells.items()
        if place[0] not in rows and place[1] not in columns and (text := _text(cell))
    }
    if len({row for row, _ in texts}) * len({column for _, column in texts}) > MOST_CELLS:
        raise OversizeFile(f"sheet {sheet.title} spans more than {MOST_CELLS:,} cells")
    rows = {row for row, _ in texts}
    columns = {column for _, column in texts}
    for merged in sheet.merged_cells.ranges:
        if says := texts.get((merged.min_row, merged.min_col)):
            for row in rows.intersection(range(merged.min_row, merged.max_row + 1)):
                for column in columns.intersection(range(merged.min_col, merged.max_col + 1)):
                    texts[row, column] = says
    return texts


def _hidden(sheet: Worksheet) -> tuple[set[int], set[int]]:
    """Return the rows and columns somebody has hidden. A filter hides rows too, and those are kept."""
    is_filtered = bool(sheet.auto_filter.filterColumn)
    rows = {number for number, row in sheet.row_dimensions.items() if row.hidden and not is_filtered}
    columns = {
        number
        for column in sheet.column_dimensions.values()
        if column.hidden and column.min and column.max
        for number in range(column.min, column.max + 1)
    }
    return rows, columns


def _text(cell: Cell) -> str:
    """Return what a cell shows, with what somebody remarked on it."""
    remark = " ".join(cell.comment.text.split()) if cell.comment is not None else ""
    return f"{_value(cell)}（コメント: {remark}）" if remark else _value(cell)


def _value(cell: Cell) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, datetime.datetime):
        is_date = value.time() == datetime.time()
        return value.date().isoformat() if is_date else value.isoformat(sep=" ", timespec="minutes")
    if isinstance(value, float):
        if "%" in str(cell.number_format):
            return f"{round(value * 100, 6):g}%"
        return str(int(value)) if value.is_integer() else f"{value:.12g}"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int) and "%" in str(cell.number_format):
        return f"{value * 100}%"
    return str(value).strip()
