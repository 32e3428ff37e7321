"""PDF: text by page (pypdfium2), and tables on pages that have ruling lines (pdfplumber, 20 times slower)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO

import pdfplumber
import pypdfium2
import pypdfium2.raw as pdfium
from pdfplumber.pdf import PDF
from pdfplumber.table import Table

from kiban.backends.parsers.outline import LONGEST_HEADING, Outline, table_lines
from kiban.backends.parsers.reflow import reflow
from kiban.domain.document import ParsedDocument, Place
from kiban.errors import BrokenFile, EncryptedFile, OversizeFile

MOST_PAGES = 5_000
MOST_TABLE_PAGES = 100  # after so many, ruled pages are read as plain text: pdfplumber costs 60 ms a page
_MOST_OBJECTS = 1_000  # on one page; above that it is a drawing, and slow to look at
_GRID_SEGMENTS = 8  # two lines across and two down, each from a point to a point
_THIN = 2.5  # points: a path no thicker is a line
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
        with closing(_Plumber(content)) as plumber:
            for number, page in enumerate(document, start=1):
                outline.turn_to(Place(page=number))
                _read_page(outline, number, page, plumber.tables(number) if _is_ruled(page) else [])
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


def _read_page(outline: Outline, number: int, page: pypdfium2.PdfPage, tables: Sequence[RuledTable]) -> None:
    """Read the bands between tables as text, and each table by its rows."""
    left, bottom, right, top = page.get_bbox()
    text = page.get_textpage()
    upper = top
    for table in sorted(tables, key=lambda table: table.top):
        table_top, table_bottom = top - table.top, top - table.bottom
        outline.lines(_between(text, left, table_top, right, upper))
        outline.lines(_between(text, left, table_bottom, table.left, table_top))
        for line in table_lines(table.rows):
            outline.add(line)
        outline.lines(_between(text, table.right, table_bottom, right, table_top))
        upper = min(upper, table_bottom)
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


@dataclass(frozen=True, slots=True)
class RuledTable:
    """A table and where it stands: points from the left and from the top of the page."""

    left: float
    top: float
    right: float
    bottom: float
    rows: list[list[str]]

    @property
    def is_filled(self) -> bool:
        """Tell a table from boxes of a drawing: two rows and columns at least, and text in half the cells."""
        cells = [cell for row in self.rows for cell in row]
        return len(self.rows) > 1 and len(self.rows[0]) > 1 and 2 * sum(map(bool, cells)) >= len(cells)


def _ruled_table(table: Table) -> RuledTable:
    return RuledTable(*table.bbox, [[(cell or "").strip() for cell in row] for row in table.extract()])


class _Plumber:
    """Finds the tables of a page. Opened at the first page that needs it."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._plumbed: PDF | None = None
        self._asked = 0

    def tables(self, number: int) -> list[RuledTable]:
        if self._asked >= MOST_TABLE_PAGES:
            return []
        self._asked += 1
        self._plumbed = self._plumbed or pdfplumber.open(BytesIO(self._content))
        page = self._plumbed.pages[number - 1]
        found = [_ruled_table(table) for table in page.find_tables()]
        page.close()
        return [table for table in found if table.is_filled]

    def close(self) -> None:
        if self._plumbed is not None:
            self._plumbed.close()


def _is_ruled(page: pypdfium2.PdfPage) -> bool:
    """Say whether lines cross on the page, or boxes stand side by side: without them no table is found."""
    if page.get_rotation() or pdfium.FPDFPage_CountObjects(page) > _MOST_OBJECTS:
        return False  # the two libraries measure a turned page from different corners
    across = down = boxes = 0
    for drawn in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_PATH], max_depth=3):
        left, bottom, right, top = drawn.get_bounds()
        width, height = right - left, top - bottom
        across += height <= _THIN < width
        down += width <= _THIN < height
        boxes += width > _THIN and height > _THIN
        if (across >= 2 and down >= 2) or boxes >= 4 or _is_grid(drawn):
            return True
    return False


def _is_grid(drawn: pypdfium2.PdfObject) -> bool:
    """Say whether one path draws many straight lines: some programs draw a whole grid at once."""
    count = pdfium.FPDFPath_CountSegments(drawn.raw)
    if count < _GRID_SEGMENTS:
        return False
    first = (pdfium.FPDFPath_GetPathSegment(drawn.raw, number) for number in range(_GRID_SEGMENTS))
    return all(pdfium.FPDFPathSegment_GetType(segment) != pdfium.FPDF_SEGMENT_BEZIERTO for segment in first)


def _title(document: pypdfium2.PdfDocument, parsed: ParsedDocument) -> str:
    """Return the title in the metadata unless a program wrote it, else the first line if it is short."""
    title: str = document.get_metadata_value("Title")
    if not _NAMELESS.match(title):
        return title
    first = next((section.text.lstrip().split("\n")[0] for section in parsed.sections), "")
    return first if len(first) <= LONGEST_HEADING else ""
