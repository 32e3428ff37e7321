"""Files as offices make them, for the parsers' tests."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from email.message import EmailMessage
from io import BytesIO
from pathlib import Path

import docx
import openpyxl
import pptx
from PIL import Image
from pptx.util import Cm
from reportlab.lib import pagesizes
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from kiban.domain.access import Audience
from kiban.domain.document import SourceFile

EVERYONE = Audience(frozenset({"everyone"}))


def source_file(path: Path, content: bytes | None = None) -> SourceFile:
    """Write `content` if given; return the file as a source would list it."""
    if content is not None:
        path.write_bytes(content)
    content = path.read_bytes()
    return SourceFile(path.name, path, len(content), hashlib.sha256(content).hexdigest(), EVERYONE)


def word() -> bytes:
    document = docx.Document()
    document.add_heading("旅費規程", 0)
    document.add_heading("第1章 総則", 1)
    document.add_paragraph("この規程は出張の旅費を定める。")
    document.add_heading("第2章 旅費", 1)
    table = document.add_table(rows=3, cols=3)
    for row, texts in zip(
        table.rows,
        [("等級", "日当", "宿泊費"), ("部長", "3000円", "14000円"), ("一般", "2000円", "9800円")],
        strict=True,
    ):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    document.add_paragraph("表の額を上限とする。")
    return _saved(document)


def workbook() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "保全"
    for row in [
        ("設備一覧",),
        (),
        ("設備", "型番", "周期"),
        ("ポンプ", "PPR-9087", 30),
        (None, "PPR-9088", 45),
    ]:
        sheet.append(row)
    sheet.merge_cells("A4:A5")
    other = book.create_sheet("単価")
    for row in [("部品", "率"), ("弁", 0.25)]:
        other.append(row)
    other["B2"].number_format = "0%"
    return _saved(book)


def deck() -> bytes:
    presentation = pptx.Presentation()
    for title, body in [("新製品の紹介", "静音ポンプ。"), ("日程", "四月に発売する。")]:
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = body
    slide.notes_slide.notes_text_frame.text = "価格は言わない。"
    table = slide.shapes.add_table(2, 2, Cm(1), Cm(10), Cm(10), Cm(2)).table
    for (row, column), text in {(0, 0): "月", (0, 1): "台数", (1, 0): "四月", (1, 1): "120"}.items():
        table.cell(row, column).text = text
    return _saved(presentation)


def pdf(pages: Sequence[Sequence[str]], *, table: Sequence[Sequence[str]] = (), password: str = "") -> bytes:
    """Return a PDF of these lines, with a ruled table at the foot of its last page."""
    made = BytesIO()
    pdfmetrics.registerFont(UnicodeCIDFont("HeiseiMin-W3"))
    encryption = StandardEncryption(password) if password else None
    canvas = Canvas(made, pagesize=pagesizes.A4, encrypt=encryption)
    for number, lines in enumerate(pages, start=1):
        canvas.setFont("HeiseiMin-W3", 10.5)
        for down, line in enumerate(lines):
            canvas.drawString(70, 770 - 18 * down, line)
        if number == len(pages) and table:
            _draw_table(canvas, table)
        canvas.showPage()
    canvas.save()
    return made.getvalue()


def archive(**parts: str) -> bytes:
    """Return a zip of parts; "__" in a name stands for "/", and ".xml" is added."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in parts.items():
            zipped.writestr(name.replace("__", "/") + ".xml", content)
    return made.getvalue()


def _draw_table(canvas: Canvas, table: Sequence[Sequence[str]]) -> None:
    xs = [70 + 120 * column for column in range(len(table[0]) + 1)]
    ys = [300 - 20 * row for row in range(len(table) + 1)]
    canvas.grid(xs, ys)
    for row, cells in enumerate(table):
        for column, cell in enumerate(cells):
            canvas.drawString(xs[column] + 4, ys[row] - 14, cell)


def _saved(document: docx.document.Document | openpyxl.Workbook | pptx.presentation.Presentation) -> bytes:
    made = BytesIO()
    document.save(made)
    return made.getvalue()


def saved(book: openpyxl.Workbook) -> bytes:
    return _saved(book)


def picture(width: int = 300, height: int = 200) -> bytes:
    made = BytesIO()
    Image.new("RGB", (width, height), "white").save(made, "PNG")
    return made.getvalue()


def scanned_pdf(pages: int) -> bytes:
    """Return a PDF of pictures of pages."""
    made = BytesIO()
    canvas = Canvas(made, pagesize=pagesizes.A4)
    for _ in range(pages):
        canvas.drawImage(ImageReader(BytesIO(picture())), 0, 0, *pagesizes.A4)
        canvas.showPage()
    canvas.save()
    return made.getvalue()


def bookmarked_pdf(*, roman: bool = False) -> bytes:
    """Return a PDF of two pages with bookmarks at a line of each, and one that no line says."""
    made = BytesIO()
    pdfmetrics.registerFont(UnicodeCIDFont("HeiseiMin-W3"))
    canvas = Canvas(made, pagesize=pagesizes.A4)
    pages = [["前書き。", "第1部 総則", "総則の本文。"], ["続き。", "旅費", "旅費の本文。"]]
    marks = [[("規程", 0), ("第1部 総則", 1)], [("旅費", 1)]]
    for number, (lines, titles) in enumerate(zip(pages, marks, strict=True)):
        canvas.setFont("HeiseiMin-W3", 10.5)
        if roman:
            canvas.addPageLabel(number, style="ROMAN_LOWER", start=number + 1)
        for down, line in enumerate(lines):
            canvas.drawString(70, 770 - 30 * down, line)
        for title, level in titles:
            canvas.bookmarkPage(title)
            canvas.addOutlineEntry(title, title, level)
        canvas.showPage()
    canvas.save()
    return made.getvalue()


def vertical_pdf(columns: Sequence[str]) -> bytes:
    """Return a PDF of lines written downwards, the first on the right."""
    made = BytesIO()
    font = UnicodeCIDFont("HeiseiMin-W3", isVertical=True)
    pdfmetrics.registerFont(font)
    canvas = Canvas(made, pagesize=pagesizes.A4)
    canvas.setFont(font.name, 12)
    for number, column in enumerate(columns):
        canvas.drawString(500 - 20 * number, 770, column)
    canvas.showPage()
    canvas.save()
    return made.getvalue()


def spanning_pdf() -> bytes:
    """Return a PDF with a table whose first cell below the header spans two rows."""
    made = BytesIO()
    pdfmetrics.registerFont(UnicodeCIDFont("HeiseiMin-W3"))
    canvas = Canvas(made, pagesize=pagesizes.A4)
    canvas.setFont("HeiseiMin-W3", 10.5)
    for x in (70, 190, 310, 430):
        canvas.line(x, 640, x, 700)
    for y in (640, 680, 700):
        canvas.line(70, y, 430, y)
    canvas.line(190, 660, 430, 660)
    rows = [("設備", "型番", "周期"), ("ポンプ", "PPR-9087", "30日"), ("", "PPR-9088", "45日")]
    for down, row in enumerate(rows):
        for column, text in enumerate(row):
            canvas.drawString(75 + 120 * column, 686 - 20 * down, text)
    canvas.showPage()
    canvas.save()
    return made.getvalue()


def latin_pdf(lines: Sequence[str]) -> bytes:
    made = BytesIO()
    canvas = Canvas(made, pagesize=pagesizes.A4)
    canvas.setFont("Helvetica", 14)
    for down, line in enumerate(lines):
        canvas.drawString(70, 780 - 30 * down, line)
    canvas.save()
    return made.getvalue()


def mail_with(name: str, content: bytes) -> bytes:
    """Return a message with one attachment."""
    message = EmailMessage()
    message["Subject"] = "点検"
    message.set_content("本文。")
    message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()
