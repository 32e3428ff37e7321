"""Writes pdf, in one column or two. Japanese uses Adobe's standard CID fonts, which need no font file."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import cm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, FrameBreak, PageTemplate, Spacer
from reportlab.platypus import Paragraph as Text
from reportlab.platypus import Table as Grid

from writers.office import AUTHOR
from writers.original import Block, Heading, Original, PageBreak, Paragraph, Table

MARGIN, GUTTER = 2.2 * cm, 0.8 * cm
RULED = [
    ("GRID", (0, 0), (-1, -1), 0.6, colors.black),
    ("BACKGROUND", (0, 0), (-1, 0), colors.lightgrey),
    ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
]


def write(original: Original) -> bytes:
    columns = int(original.head.get("columns", 1))
    result = BytesIO()
    document = BaseDocTemplate(result, pagesize=A4, invariant=1, title=original.title, author=AUTHOR)
    document.addPageTemplates(PageTemplate(frames=_frames(columns), onPageEnd=_number_page))
    styles = _styles(original.is_japanese)
    document.build([part for block in original.blocks for part in _flowables(block, styles, columns)])
    return result.getvalue()


def _frames(columns: int) -> list[Frame]:
    width = _column_width(columns)
    return [
        Frame(MARGIN + column * (width + GUTTER), MARGIN, width, A4[1] - 2 * MARGIN, 0, 0, 0, 0)
        for column in range(columns)
    ]


def _column_width(columns: int) -> float:
    return float((A4[0] - 2 * MARGIN - (columns - 1) * GUTTER) / columns)


def _number_page(canvas: Canvas, document: BaseDocTemplate) -> None:
    canvas.setFont("Helvetica", 9)
    canvas.drawCentredString(A4[0] / 2, MARGIN / 2, f"- {document.page} -")


def _styles(japanese: bool) -> dict[str, ParagraphStyle]:
    plain, bold = ("HeiseiMin-W3", "HeiseiKakuGo-W5") if japanese else ("Times-Roman", "Helvetica-Bold")
    if japanese:
        for name in (plain, bold):
            pdfmetrics.registerFont(UnicodeCIDFont(name))
    wrap = "CJK" if japanese else None
    return {
        "body": ParagraphStyle("body", fontName=plain, fontSize=10.5, leading=17, wordWrap=wrap),
        "head": ParagraphStyle("head", fontName=bold, fontSize=12, leading=19, spaceBefore=9, wordWrap=wrap),
        "title": ParagraphStyle("title", fontName=bold, fontSize=16, leading=25, wordWrap=wrap),
    }


def _flowables(block: Block, styles: dict[str, ParagraphStyle], columns: int) -> Iterator[Flowable]:
    match block:
        case Heading(level, text):
            yield Text(text, styles["title" if level == 1 else "head"])
        case Paragraph(lines):
            for line in lines:
                yield Text(line, styles["body"])
        case Table(rows):
            width = _column_width(columns) / len(rows[0])
            cells = [[Text(text, styles["body"]) for text in row] for row in rows]
            yield Spacer(0, 6)
            yield Grid(cells, colWidths=[width] * len(rows[0]), style=RULED, repeatRows=1)
            yield Spacer(0, 6)
        case PageBreak():
            yield FrameBreak()  # the next column, or the next page after the last one
        case _:
            raise ValueError(f"a pdf original cannot hold {block}")
