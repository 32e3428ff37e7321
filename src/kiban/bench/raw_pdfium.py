"""pypdfium2 alone: open, and read the text of every page. What our PDF parser is measured against."""

from __future__ import annotations

import time

import pypdfium2

from kiban.domain.document import ParsedDocument, Place, Section
from kiban.errors import BrokenFile


def parse(name: str, content: bytes, pictures: int) -> ParsedDocument:
    """Return pages and CPU seconds as the title, and the number of characters as text. Raises BrokenFile."""
    began = time.process_time()
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
    title = f"{pages} {time.process_time() - began}"
    return ParsedDocument(title, (Section(str(characters), Place()),))
