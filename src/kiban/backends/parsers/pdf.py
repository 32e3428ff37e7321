"""PDF (pypdfium2): page by page, under the headings of its bookmarks; pictures of pages by OCR."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from dataclasses import replace

import pypdfium2
import pypdfium2.raw as pdfium

from kiban.backends.parsers.outline import LONGEST_HEADING, Outline
from kiban.backends.parsers.pdf_page import Page
from kiban.backends.parsers.reading import Reading
from kiban.domain.document import ParsedDocument, Place
from kiban.errors import BrokenFile, EncryptedFile, OversizeFile

MOST_PAGES = 5_000
_MOST_BOOKMARKS = 5_000
_DEEPEST_BOOKMARK = 8
_ABOVE_ARTICLES = -_DEEPEST_BOOKMARK  # rank of the highest bookmark: above headings told by their looks
_NAMELESS = re.compile(
    r"\s*(untitled|\(?anonymous\)?|microsoft \w+ - .*|.*\.(docx?|xlsx?|pptx?|tex|pdf|dvi))?\s*$", re.I
)

Bookmarks = dict[int, list[tuple[int, str]]]  # by page, from 1: level, from 0, and title


def read_pdf(content: bytes, stem: str, reading: Reading) -> ParsedDocument:
    """Return one section a page or more. Raises EncryptedFile, BrokenFile, OversizeFile."""
    document = _open(content)
    try:
        if len(document) > MOST_PAGES:
            raise OversizeFile(f"{len(document):,} pages, more than {MOST_PAGES:,}")
        outline = Outline()
        bookmarks = _bookmarks(document)
        for number in range(1, len(document) + 1):
            page = Page(document[number - 1], number)
            label = document.get_page_label(number - 1)
            anchor = f"page={number}&label={label}" if label not in ("", str(number)) else ""
            _read_page(outline, page, Place(page=number, anchor=anchor), bookmarks[number], reading)
            page.close()
        parsed = outline.document(stem)
        return replace(parsed, title=_title(document, parsed, stem))
    finally:
        document.close()


def _open(content: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if pdfium.FPDF_GetLastError() == pdfium.FPDF_ERR_PASSWORD or "password" in str(error).lower():
            raise EncryptedFile("it asks for a password") from error
        raise BrokenFile(str(error)) from error


def _bookmarks(document: pypdfium2.PdfDocument) -> Bookmarks:
    found: Bookmarks = defaultdict(list)
    for count, bookmark in enumerate(document.get_toc(max_depth=_DEEPEST_BOOKMARK)):
        if count >= _MOST_BOOKMARKS:
            break
        target = bookmark.get_dest()
        page = target.get_index() if target is not None else None
        if page is not None and (title := bookmark.get_title().strip()):
            found[page + 1].append((bookmark.level, title))
    return found


def _read_page(
    outline: Outline, page: Page, place: Place, bookmarks: list[tuple[int, str]], reading: Reading
) -> None:
    """Read a page: a line that is a bookmark is a heading, and so is a bookmark without a line."""
    if page.is_picture:
        _read_picture(outline, page, place, reading)
        return
    outline.turn_to(place)
    pieces = list(page.lines())
    waiting = {_comparable(title): (level, title) for level, title in bookmarks}
    if waiting:
        lines = {_comparable(line) for text, is_row in pieces if not is_row for line in text.split("\n")}
        for key in [key for key in waiting if key not in lines]:
            level, title = waiting.pop(key)
            outline.heading(_ABOVE_ARTICLES + level, title)
    for text, is_row in pieces:
        if is_row:
            outline.add(text)
        else:
            _add_lines(outline, text, waiting)


def _add_lines(outline: Outline, text: str, waiting: dict[str, tuple[int, str]]) -> None:
    """Add text, cut at the lines that are bookmarks."""
    if not waiting:
        outline.lines(text)
        return
    plain: list[str] = []
    for line in text.split("\n"):
        if (found := waiting.pop(_comparable(line), None)) is None:
            plain.append(line)
            continue
        outline.lines("\n".join(plain))
        plain = []
        outline.heading(_ABOVE_ARTICLES + found[0], line)
    outline.lines("\n".join(plain))


def _read_picture(outline: Outline, page: Page, place: Place, reading: Reading) -> None:
    seen = Place(page=place.page, anchor=f"{place.anchor or f'page={place.page}'}&ocr")
    outline.turn_to(seen)
    lines = reading.lines(page.draw)
    if lines is None:
        outline.unread(seen)
    for line in lines or ():
        outline.add(line)


def _comparable(line: str) -> str:
    """Return a heading without what differs between the page and the bookmark: its number, spaces, width."""
    line = unicodedata.normalize("NFKC", line).casefold()
    return re.sub(r"^(chapter|section|appendix)?[\s\d.]+|\W", "", line)


def _title(document: pypdfium2.PdfDocument, parsed: ParsedDocument, stem: str) -> str:
    """Return the title in the metadata unless a program wrote it, else the heading above all others, else
    the first line if it is short."""
    title: str = document.get_metadata_value("Title")
    if not _NAMELESS.match(title):
        return title
    if parsed.title != stem:
        return parsed.title
    first = next((section.text.lstrip().split("\n")[0] for section in parsed.sections), "")
    return first if first and len(first) <= LONGEST_HEADING else stem
