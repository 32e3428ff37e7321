"""Writes docx: headings as heading styles, tables as ruled tables."""

from __future__ import annotations

from io import BytesIO

import docx
from docx.document import Document

from writers.office import settled, stamp
from writers.original import Block, Heading, Original, Paragraph, Table


def write(original: Original) -> bytes:
    document = docx.Document()
    stamp(document.core_properties, original.title)
    for block in original.blocks:
        _add(document, block)
    package = BytesIO()
    document.save(package)
    return settled(package)


def _add(document: Document, block: Block) -> None:
    match block:
        case Heading(level, text):
            document.add_heading(text, level)
        case Paragraph(lines):
            for line in lines:
                document.add_paragraph(line)
        case Table(rows):
            table = document.add_table(len(rows), len(rows[0]), style="Table Grid")
            for row, texts in zip(table.rows, rows, strict=True):
                for cell, text in zip(row.cells, texts, strict=True):
                    cell.text = text
        case _:
            raise ValueError(f"a docx original cannot hold {block}")
