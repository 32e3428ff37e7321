"""Figures, drawings and photographs of a document, made small, and where in its text each one stands."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

from PIL import Image, ImageOps

from kiban.backends.parsers.outline import HEADING_BREAK
from kiban.backends.parsers.shown import MOST_PIXELS, Shown, in_deck, in_page, in_pdf, in_word, itself
from kiban.domain.document import SECTION_BREAK, ParsedDocument, Picture, Place, Section
from kiban.errors import DocumentError

LONGEST_SIDE = 336  # pixels: what the larger CLIP models look at
_SHORTEST_SIDE = 64  # pixels; less is a bullet, an icon or a line
_LOOKED_AT = 20  # for each that is given back, since the same logo may stand on every slide
_LONGEST_CAPTION = 300  # characters
_UNREADABLE = (DocumentError, OSError, ValueError, SyntaxError, LookupError, Image.DecompressionBombError)

_FINDERS: dict[str, Callable[[bytes], Iterator[Shown]]] = {
    ".docx": in_word,
    ".pptx": in_deck,
    ".pdf": in_pdf,
    **dict.fromkeys((".html", ".htm", ".xhtml"), in_page),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif"), itself),
}


def with_pictures(document: ParsedDocument, kind: str, content: bytes, most: int) -> ParsedDocument:
    """Return the document with at most so many of its pictures, each once. `kind` is the ending its content
    deserves.

    A document that shows something and says nothing gets its title as text, for a picture without any text
    beside it would lead nowhere.
    """
    found: dict[bytes, Picture] = {}
    finder, places = _FINDERS.get(kind), _Places(document)
    for shown in islice(finder(content) if finder else (), _LOOKED_AT * most):
        at = places.at(shown)
        if (small := _small(shown)) is not None and len(found) < most:
            caption = " ".join(shown.caption.split())[:_LONGEST_CAPTION]
            picture = Picture(at, small.width, small.height, small.tobytes(), caption)
            found.setdefault(hashlib.sha256(picture.rgb).digest(), picture)
    if found and not document.sections:
        document = replace(document, sections=(Section(document.title, Place()),))
    return replace(document, pictures=tuple(found.values()))


def _small(shown: Shown) -> Image.Image | None:
    """Return the picture made small, on white; None for what is too small, too large or not readable.

    A drawing in a format that nobody reads (EMF) is no fault of its document.
    """
    try:
        picture = shown.open()
        if min(picture.size) < _SHORTEST_SIDE or picture.width * picture.height > MOST_PIXELS:
            return None
        picture.draft("RGB", (2 * LONGEST_SIDE, 2 * LONGEST_SIDE))  # a JPEG need not be decoded whole
        picture = ImageOps.exif_transpose(picture).convert("RGBA")
    except _UNREADABLE:
        return None
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


class _Places:
    """Finds where in a document's text a picture stands. Asked in reading order."""

    def __init__(self, document: ParsedDocument) -> None:
        self._text = document.text
        self._sections: list[tuple[int, Place]] = []  # where each begins
        self._at = 0
        start = 0
        for section in document.sections:
            self._sections.append((start, section.place))
            start += len(section.text) + len(SECTION_BREAK)

    def at(self, shown: Shown) -> int:
        """Return a character: of the caption, of the line before the picture, or of its page or slide."""
        if shown.number:
            self._turn_to(shown.number)
        if shown.line:
            self._follow(" ".join(shown.line.split()))
        captioned = self._text.find(shown.caption, self._at) if shown.caption else -1
        same = [place for start, place in self._sections if start <= captioned][-1:]
        if same and shown.number and shown.number in (same[0].page, same[0].slide):
            return captioned
        return self._at

    def _turn_to(self, number: int) -> None:
        """Go to the first section of a page or slide, or of the nearest one that says something."""
        if self._sections:
            self._at, _ = min(
                self._sections, key=lambda each: abs((each[1].page or each[1].slide or 1) - number)
            )

    def _follow(self, line: str) -> None:
        """Go to the end of a line that was read, or to what stands under it if it is a heading."""
        for start, place in self._sections:
            if start >= self._at and place.heading.split(HEADING_BREAK)[-1] == line:
                self._at = start
                return
        if (found := self._text.find(line, self._at)) >= 0:
            self._at = found + len(line) - 1
