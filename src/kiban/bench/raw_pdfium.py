"""pypdfium2 alone: open, and read the text of every page. What our PDF parser is measured against."""

from __future__ import annotations

import time

import pypdfium2

from kiban.domain.document import ParsedDocument, Place, Section
from kiban.errors import BrokenFile

_ENOUGH = 0.05  # seconds
_MOST_ROUNDS = 50


def parse(name: str, content: bytes, pictures: int, thumbnails: int) -> ParsedDocument:
    """Return pages and CPU seconds as the title, and the number of characters as text. Raises BrokenFile.

    A short file is read again and again, since clocks of CPU time may tick only every few milliseconds.
    """
    began, rounds, spent = time.process_time(), 0, 0.0
    while spent < _ENOUGH and rounds < _MOST_ROUNDS:
        pages, characters = _read(content)
        rounds, spent = rounds + 1, time.process_time() - began
    return ParsedDocument(f"{pages} {spent / rounds}", (Section(str(characters), Place()),))


def _read(content: bytes) -> tuple[int, int]:
    characters = 0
    try:
        document = pypdfium2.PdfDocument(content)
        for page in document:
            text = page.get_textpage()
            characters += len(text.get_text_range())
            text.close()
            page.close()
    except pypdfium2.PdfiumError as error:
        raise BrokenFile(str(error)) from error
    pages = len(document)
    document.close()
    return pages, characters
