"""The jail's side of a PDF page as a picture: drawn by pdfium, with one quotation marked.

It speaks the protocol of any parser (worker.py): what it is asked stands in the name of the file, and the
page comes back as the only picture of a document without text.
"""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Any

import pypdfium2
import pypdfium2.raw as pdfium

from kiban.domain.document import ParsedDocument, Picture
from kiban.errors import BrokenFile, EncryptedFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WIDTH = 1_000  # pixels
_MOST_PIXELS = 4_000_000
_MARKER = (251, 226, 122)  # red, green, blue: what white paper becomes


def draw(asked: str, content: bytes, _pictures: int, _thumbnails: int) -> ParsedDocument:
    """Draw a page. `asked` is JSON: {"page": 1-based, "quote": text}. A quotation that is not on the page is
    not marked. Raises EncryptedFile, BrokenFile (also for a page that is not there)."""
    wanted = json.loads(asked)
    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if pdfium.FPDF_GetLastError() == pdfium.FPDF_ERR_PASSWORD:
            raise EncryptedFile("it asks for a password") from error
        raise BrokenFile(str(error)) from error
    try:
        if not 1 <= wanted["page"] <= len(document):
            raise BrokenFile(f"it has no page {wanted['page']}")
        page = document[wanted["page"] - 1]
        drawn = _drawn(page, wanted["quote"])
        page.close()
    finally:
        document.close()
    height, width = drawn.shape[:2]
    return ParsedDocument("", (), pictures=(Picture(0, width, height, drawn.tobytes()),))


def _drawn(page: pypdfium2.PdfPage, quote: str) -> NDArray[np.uint8]:
    width, height = page.get_size()
    scale = min(WIDTH / max(width, 1.0), (_MOST_PIXELS / max(width * height, 1.0)) ** 0.5)
    bitmap = page.render(scale=scale, rev_byteorder=True)
    drawn: NDArray[np.uint8] = bitmap.to_numpy()[:, :, :3].copy()
    place = bitmap.get_posconv(page)
    for left, bottom, right, top in _boxes(page, quote):
        (x, y), (x_end, y_end) = place.to_bitmap(left, top), place.to_bitmap(right, bottom)
        (x, x_end), (y, y_end) = sorted((max(x, 0), max(x_end, 0))), sorted((max(y, 0), max(y_end, 0)))
        marked = drawn[y : y_end + 1, x : x_end + 1]
        for channel, ink in enumerate(_MARKER):
            lit = marked[:, :, channel].astype("uint16") * ink // 255
            marked[:, :, channel] = lit.astype("uint8")
    return drawn


def _boxes(page: pypdfium2.PdfPage, quote: str) -> list[tuple[float, float, float, float]]:
    """Return a box for each line that the quotation stands on, in points from the lower left corner."""
    text = page.get_textpage()
    try:
        letters = [
            (letter, place)
            for place in range(text.count_chars())
            for letter in _comparable(chr(pdfium.FPDFText_GetUnicode(text, place)))
        ]
        wanted = _comparable(quote)
        start = "".join(letter for letter, _ in letters).find(wanted) if wanted else -1
        if start < 0:
            return []
        places = sorted({place for _, place in letters[start : start + len(wanted)]})
        return _joined([text.get_charbox(place, loose=True) for place in places])
    finally:
        text.close()


def _joined(boxes: list[Any]) -> list[tuple[float, float, float, float]]:
    """Return neighbours in one line as one box, so that none is marked twice where they overlap."""
    joined: list[tuple[float, float, float, float]] = []
    for left, bottom, right, top in boxes:
        if joined and bottom < joined[-1][3] and joined[-1][1] < top and left >= joined[-1][0]:
            before = joined.pop()
            left, bottom = min(left, before[0]), min(bottom, before[1])
            right, top = max(right, before[2]), max(top, before[3])
        joined.append((left, bottom, right, top))
    return joined


def _comparable(text: str) -> str:
    """Return a text without what differs between page and quotation: spaces, breaks, width."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
