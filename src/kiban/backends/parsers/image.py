"""Pictures (Pillow): scans and photographs, page by page, for OCR."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, ImageSequence

from kiban.backends.parsers.outline import Outline
from kiban.backends.parsers.reading import Reading
from kiban.domain.document import ParsedDocument, Place
from kiban.errors import BrokenFile, EmptyFile, HostileFile

if TYPE_CHECKING:
    from kiban.backends.parsers.ocr import Picture

_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF")
MOST_PIXELS = 100_000_000  # an A3 page at 600 dpi has 70 million
_MOST_PAGES = 500
_FEWEST_PIXELS = 20_000  # less is an icon, or the logo under a mail
_LONGEST_SIDE = 3000  # pixels; an A4 page at 250 dpi


def read_image(content: bytes, stem: str, reading: Reading) -> ParsedDocument:
    """Return one section a page. Raises BrokenFile, EmptyFile, HostileFile (larger than any page)."""
    outline = Outline()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of sizes that we refuse, and of odd metadata
        picture = opened(content)
        if picture.width * picture.height < _FEWEST_PIXELS:
            raise EmptyFile(f"{picture.width} × {picture.height} pixels hold no text")
        for number, page in enumerate(pages(picture), start=1):
            place = Place(page=number, anchor="ocr")
            outline.turn_to(place)
            lines = reading.lines(lambda page=page: _pixels(page))  # type: ignore[misc]
            if lines is None:
                outline.unread(place)
            for line in lines or ():
                outline.lines(line)
    return outline.document(stem)


def opened(content: bytes) -> Image.Image:
    try:
        picture = Image.open(BytesIO(content), formats=_FORMATS)
    except (OSError, ValueError) as error:
        raise BrokenFile(f"not a picture: {error}") from error
    except Image.DecompressionBombError as error:
        raise HostileFile(str(error)) from error
    if picture.width * picture.height > MOST_PIXELS:
        raise HostileFile(f"{picture.width:,} × {picture.height:,} pixels")
    return picture


def pages(picture: Image.Image) -> Iterator[Image.Image]:
    """Yield the pages of a TIFF; of what moves, only the first."""
    if picture.format != "TIFF":
        yield picture
        return
    for number, page in enumerate(ImageSequence.Iterator(picture)):
        if number >= _MOST_PAGES or page.width * page.height > MOST_PIXELS:
            raise HostileFile(f"page {number + 1} of {page.width:,} × {page.height:,} pixels")
        yield page


def _pixels(page: Image.Image) -> Picture:
    page = ImageOps.exif_transpose(page).convert("RGB")
    page.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    return np.asarray(page)
