"""PDF: text by page (pypdfium2), with the tables that lines are drawn around."""

from __future__ import annotations

import re

import pypdfium2
import pypdfium2.raw as pdfium

from kiban.backends.parsers.outline import LONGEST_HEADING, Outline, table_lines
from kiban.backends.parsers.reflow import reflow
from kiban.backends.parsers.ruling import ruled_tables
from kiban.domain.document import ParsedDocument, Place
from kiban.errors import BrokenFile, EncryptedFile, OversizeFile

MOST_PAGES = 5_000
# A last line that can be nothing but a page number: - 1 -, 1 / 9, page 1, 1 頁; a bare 1 only on page 1.
_PAGE_NUMBER = (
    r"(?:^|\n) *(?:[-–—‐]+ *\d+ *[-–—‐]+|\d+ *(?:/|of) *\d+|p(?:age|\.) *\d+|\d+ *(?:頁|ページ)|{page})\s*$"
)
_NAMELESS = re.compile(
    r"\s*(untitled|\(?anonymous\)?|microsoft \w+ - .*|.*\.(docx?|xlsx?|pptx?|tex|pdf|dvi))?\s*$", re.I
)


def read_pdf(content: bytes, stem: str) -> ParsedDocument:
    """Return one section a page or more. Raises EncryptedFile, BrokenFile, OversizeFile."""
    document = _open(content)
    try:
        if len(document) > MOST_PAGES:
            raise OversizeFile(f"{len(document):,} pages, more than {MOST_PAGES:,}")
        outline = Outline()
        for number, page in enumerate(document, start=1):
            outline.turn_to(Place(page=number))
            _read_page(outline, number, page)
            page.close()
        parsed = outline.document(stem)
        return ParsedDocument(_title(document, parsed) or parsed.title, parsed.sections)
    finally:
        document.close()


def _open(content: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if pdfium.FPDF_GetLastError() == pdfium.FPDF_ERR_PASSWORD or "password" in str(error).lower():
            raise EncryptedFile("it asks for a password") from error
        raise BrokenFile(str(error)) from error


def _read_page(outline: Outline, number: int, page: pypdfium2.PdfPage) -> None:
    """Read the bands between tables as text, and each table by its rows."""
    left, bottom, right, top = page.get_bbox()
    text = page.get_textpage()
    tables = ruled_tables(page, text)
    upper = top
    for table in tables:
        outline.lines(_between(text, left, table.top, right, upper))
        outline.lines(_between(text, left, table.bottom, table.left, table.top))
        for line in table_lines(table.rows):
            outline.add(line)
        outline.lines(_between(text, table.right, table.bottom, right, table.top))
        upper = min(upper, table.bottom)
    rest = _between(text, left, bottom, right, upper) if tables else _clean(text.get_text_range())
    outline.lines(re.sub(_PAGE_NUMBER.format(page=number), "", rest, flags=re.I))
    text.close()


def _between(text: pypdfium2.PdfTextPage, left: float, bottom: float, right: float, top: float) -> str:
    if right <= left or top <= bottom:
        return ""
    return _clean(text.get_text_bounded(left=left, bottom=bottom, right=right, top=top))


def _clean(text: str) -> str:
    """pdfium marks a hyphen at a line's end with U+FFFE or U+0002."""
    text = re.sub("[\ufffe\x02]\r?\n?", "", text)
    return reflow(re.sub(r"\r\n?", "\n", text))


def _title(document: pypdfium2.PdfDocument, parsed: ParsedDocument) -> str:
    """Return the title in the metadata unless a program wrote it, else the first line if it is short."""
    title: str = document.get_metadata_value("Title")
    if not _NAMELESS.match(title):
        return title
    first = next((section.text.lstrip().split("\n")[0] for section in parsed.sections), "")
    return first if len(first) <= LONGEST_HEADING else ""
