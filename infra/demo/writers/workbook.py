"""Writes xlsx: a sheet per second-level heading, its paragraphs merged across the table below."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from io import BytesIO

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font
from openpyxl.worksheet.worksheet import Worksheet

from writers.office import AUTHOR, MADE, settled
from writers.original import Block, Original, Paragraph, Table, sections

NUMBER = re.compile(r"\d{1,3}(,\d{3})*")
LIKE_ABOVE = "^"


def write(original: Original) -> bytes:
    book = Workbook()
    book.remove(book.worksheets[0])
    for title, blocks in sections(original.blocks, 2):
        _fill(book.create_sheet(title), blocks)
    book.properties.title, book.properties.creator = original.title, AUTHOR
    book.properties.created = MADE
    package = BytesIO()
    book.save(package)
    return settled(package)


def _fill(sheet: Worksheet, blocks: Sequence[Block]) -> None:
    width = max(len(block.rows[0]) for block in blocks if isinstance(block, Table))
    for block in blocks:
        match block:
            case Paragraph(lines):
                for line in lines:
                    sheet.append([line])
                    sheet.merge_cells(None, sheet.max_row, 1, sheet.max_row, width)
            case Table(rows):
                _append_table(sheet, rows)
            case _:
                raise ValueError(f"an xlsx original cannot hold {block}")


def _append_table(sheet: Worksheet, rows: Sequence[tuple[str, ...]]) -> None:
    top = sheet.max_row + 1
    for texts in rows:
        sheet.append([None if text == LIKE_ABOVE else _value(text) for text in texts])
    for cell in sheet[top]:
        cell.font = Font(bold=True)
    for column in range(len(rows[0])):
        for first, last in _runs([texts[column] for texts in rows]):
            sheet.merge_cells(None, top + first, column + 1, top + last, column + 1)
            sheet.cell(top + first, column + 1).alignment = Alignment(vertical="center")
        widest = max(len(texts[column]) for texts in rows)
        sheet.column_dimensions[sheet.cell(top, column + 1).column_letter].width = 4 + 2 * widest


def _runs(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield (first, last) row of each cell that goes on below."""
    starts = [row for row, text in enumerate(texts) if text != LIKE_ABOVE]
    for first, after in zip(starts, [*starts[1:], len(texts)], strict=True):
        if after - first > 1:
            yield first, after - 1


def _value(text: str) -> str | int:
    return int(text.replace(",", "")) if NUMBER.fullmatch(text) else text
