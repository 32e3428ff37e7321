"""One page of a PDF (pypdfium2): its text in reading order, its ruled tables by row, or it is a picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pypdfium2
import pypdfium2.raw as pdfium

from kiban.backends.parsers.order import Line, in_reading_order
from kiban.backends.parsers.outline import table_lines
from kiban.backends.parsers.reflow import reflow
from kiban.backends.parsers.ruling import ruled_tables

if TYPE_CHECKING:
    from kiban.backends.parsers.ocr import Picture

# A last line that can be nothing but a page number: - 1 -, 1 / 9, page 1, 1 頁; a bare 1 only on page 1.
_PAGE_NUMBER = (
    r"(?:^|\n) *(?:[-–—‐]+ *\d+ *[-–—‐]+|\d+ *(?:/|of) *\d+|p(?:age|\.) *\d+|\d+ *(?:頁|ページ)|{page})\s*$"
)
_GARBAGE = re.compile("[\ufffd\ue000-\uf8ff\x00-\x08\x0e-\x1f]")  # glyphs that nobody gave a meaning
_MOST_GARBAGE = 0.3  # of a page's characters, above which its text layer is worth nothing
_FEWEST_CHARACTERS = 30  # on a page that a picture covers; a scanner's stamp is shorter
_COVERED = 0.5  # share of the page
_DOTS_AN_INCH = 150
_MOST_PIXELS = 12_000_000  # of a page as a picture; an A3 page has 4.4 million
_LOOKED_AT = 6  # lines by which writing downwards is told
_JAPANESE = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
_LOOKED_FOR = 500  # characters among which Japanese is looked for
_SHORTEST_LINE = 4  # characters; a shorter line says nothing of its direction


class Page:
    """A page that is open. `text` is read once."""

    def __init__(self, page: pypdfium2.PdfPage, number: int) -> None:
        self._page = page
        self._number = number
        self._text = page.get_textpage()
        self._raw: str = self._text.get_text_range()

    def close(self) -> None:
        self._text.close()
        self._page.close()

    @property
    def is_picture(self) -> bool:
        """Say whether one has to look at the page to read it: no text, none that means anything, or a
        few characters on a picture of a page."""
        text = self._raw.strip()
        if not text:
            return bool(pdfium.FPDFPage_CountObjects(self._page) > 0)
        if len(_GARBAGE.findall(text)) > _MOST_GARBAGE * len(text):
            return True
        return len(text) < _FEWEST_CHARACTERS and self._picture_share() > _COVERED

    def lines(self) -> Iterator[tuple[str, bool]]:
        """Yield text, and whether it is a row of a table. Text may hold several lines."""
        left, bottom, right, top = self._page.get_bbox()
        tables = ruled_tables(self._page, self._text)
        for table in tables:
            yield self._between(left, table.top, right, top), False
            yield self._between(left, table.bottom, table.left, table.top), False
            for line in table_lines(table.rows):
                yield line, True
            yield self._between(table.right, table.bottom, right, table.top), False
            top = min(top, table.bottom)
        rest = self._between(left, bottom, right, top) if tables else _clean(self._ordered())
        yield re.sub(_PAGE_NUMBER.format(page=self._number), "", rest, flags=re.I), False

    def draw(self) -> Picture:
        """Return the page as a picture, for OCR."""
        width, height = self._page.get_size()
        scale = min(_DOTS_AN_INCH / 72, (_MOST_PIXELS / max(width * height, 1)) ** 0.5)
        picture: Picture = self._page.render(scale=scale).to_numpy()[:, :, :3]
        return picture

    def _between(self, left: float, bottom: float, right: float, top: float) -> str:
        if right <= left or top <= bottom:
            return ""
        return _clean(self._text.get_text_bounded(left=left, bottom=bottom, right=right, top=top))

    def _ordered(self) -> str:
        """Return the text; lines written downwards come from the left, and are read from the right."""
        if not _JAPANESE.search(self._raw, 0, _LOOKED_FOR):
            return self._raw
        long = [line for line in self._placed() if len(line.group()) >= _SHORTEST_LINE]
        sample = [self._boxed(line) for line in long[:: max(len(long) // _LOOKED_AT, 1)]]
        if 2 * sum(line.is_vertical for line in sample) <= len(sample):
            return self._raw
        return "\n".join(in_reading_order([self._boxed(line) for line in self._placed()]))

    def _placed(self) -> list[re.Match[str]]:
        return list(re.finditer(r"[^\r\n]+", self._raw))

    def _boxed(self, line: re.Match[str]) -> Line:
        """Return a line with the box around its first and last characters that have one."""
        text = line.group()
        first = line.start() + len(text) - len(text.lstrip())
        last = line.start() + len(text.rstrip()) - 1
        boxes = [self._text.get_charbox(place) for place in (first, max(first, last))]
        lefts, bottoms, rights, tops = zip(*boxes, strict=True)
        return Line(line.group(), min(lefts), -max(tops), max(rights), -min(bottoms))

    def _picture_share(self) -> float:
        width, height = self._page.get_size()
        pictures = self._page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=2)
        areas = [(right - left) * (top - bottom) for left, bottom, right, top in map(_bounds, pictures)]
        return float(max(areas, default=0.0) / max(width * height, 1.0))


def _bounds(drawn: pypdfium2.PdfObject) -> tuple[float, float, float, float]:
    left, bottom, right, top = drawn.get_bounds()
    return left, bottom, right, top


def _clean(text: str) -> str:
    """pdfium marks a hyphen at a line's end with U+FFFE or U+0002."""
    text = re.sub("[\ufffe\x02]\r?\n?", "", text)
    return reflow(re.sub(r"\r\n?", "\n", text))
