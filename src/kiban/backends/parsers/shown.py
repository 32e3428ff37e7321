"""Where files keep pictures: Word documents, presentations, PDFs, web pages, and picture files themselves."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO

import docx
import pptx
import pypdfium2
import pypdfium2.raw as pdfium
from docx.oxml.ns import qn
from docx.oxml.xmlchemy import BaseOxmlElement
from lxml.etree import iterwalk
from lxml.html import HtmlElement
from PIL import Image
from pptx.shapes.base import BaseShape
from pptx.shapes.picture import Picture as PictureShape

from kiban.backends.parsers.html import decoded, page_of
from kiban.backends.parsers.image import MOST_PIXELS, opened, pages
from kiban.backends.parsers.word import blocks, text_of

__all__ = ["MOST_PIXELS", "Shown", "in_deck", "in_page", "in_pdf", "in_word", "itself"]

_CAPTION = re.compile(
    r"\s*(?:[図圖写]真?|photo|fig(?:ure|\.)?)\s*[-‐–.:：]?\s*[0-9０-９一二三四五六七八九]", re.I
)
_NESTED = 3  # forms within forms of a PDF, in which pictures are looked for
_DATA = re.compile(r"data:image/[\w.+-]+;base64,")


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture as its file holds it, and what tells where in the text it stands."""

    open: Callable[[], Image.Image]  # before the next one is asked for
    caption: str = ""
    number: int = 0  # of its page or slide, 1-based; 0 when there is none
    line: str = ""  # the last one before it


def itself(content: bytes) -> Iterator[Shown]:
    """Yield the pages of a picture file."""
    for number, page in enumerate(pages(opened(content)), start=1):
        yield Shown(lambda page=page: page, number=number)  # type: ignore[misc]


def in_word(content: bytes) -> Iterator[Shown]:
    document = docx.Document(BytesIO(content))
    held = document.part.related_parts
    read = list(blocks(document.element.body))
    lines = [_last_line(block) for block in read]
    line = ""
    for block, own, following in zip(read, lines, [*lines[1:], ""], strict=True):
        beside = [text for text in (own, following, line) if _CAPTION.match(text)]
        line = own or line
        for blip in block.iter(qn("a:blip")):
            name = blip.get(qn("r:embed"))
            caption = _described(blip) or next(iter(beside), "")
            yield Shown(lambda name=name: opened(held[name].blob), caption, line=line)  # type: ignore[misc]


def _last_line(block: BaseOxmlElement) -> str:
    texts = [text_of(paragraph).strip() for paragraph in block.iter(qn("w:p"))]
    return next((text for text in reversed(texts) if text), "")


def _described(blip: BaseOxmlElement) -> str:
    """Return the alternative text of a picture in a line or beside it."""
    frames = [above for above in blip.iterancestors() if above.tag in (qn("wp:inline"), qn("wp:anchor"))]
    properties = frames[0].find(qn("wp:docPr")) if frames else None
    return "" if properties is None else properties.get("descr") or properties.get("title") or ""


def in_deck(content: bytes) -> Iterator[Shown]:
    for number, slide in enumerate(pptx.Presentation(BytesIO(content)).slides, start=1):
        for shape in _picture_shapes(slide.shapes):
            described = str(shape._element.xpath("string(p:nvPicPr/p:cNvPr/@descr)"))
            yield Shown(lambda shape=shape: opened(shape.image.blob), described, number)  # type: ignore[misc]


def _picture_shapes(shapes: Iterable[BaseShape]) -> Iterator[PictureShape]:
    for shape in sorted(shapes, key=lambda shape: (shape.top or 0, shape.left or 0)):
        if hasattr(shape, "shapes"):  # a group
            yield from _picture_shapes(shape.shapes)
        elif isinstance(shape, PictureShape):
            yield shape


def in_pdf(content: bytes) -> Iterator[Shown]:
    document = pypdfium2.PdfDocument(content)
    try:
        for number in range(1, len(document) + 1):
            page = document[number - 1]
            yield from _on_page(page, number)
            page.close()
    finally:
        document.close()


def _on_page(page: pypdfium2.PdfPage, number: int) -> Iterator[Shown]:
    """Yield the pictures of a page from its top. A caption belongs to the picture of its rank, if there are
    as many of one as of the other."""
    drawn = list(page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=_NESTED))
    drawn.sort(key=lambda image: -float(image.get_bounds()[3]))
    captions = [""] * len(drawn)
    if drawn:
        text = page.get_textpage()
        told = [line.strip() for line in text.get_text_range().splitlines() if _CAPTION.match(line)]
        captions = told if len(told) == len(drawn) else captions
        text.close()
    for image, caption in zip(drawn, captions, strict=True):
        yield Shown(lambda image=image: _drawn(image), caption, number)  # type: ignore[misc]


def _drawn(image: pypdfium2.PdfImage) -> Image.Image:
    """Return the picture without what lies over it. Raises ValueError (PdfiumError, or too many pixels)."""
    try:
        width, height = image.get_px_size()
        if width * height > MOST_PIXELS:
            raise ValueError(f"{width} × {height} pixels")
        found: Image.Image = image.get_bitmap().to_pil()
    except pypdfium2.PdfiumError as error:
        raise ValueError(str(error)) from error
    return found


def in_page(content: bytes) -> Iterator[Shown]:
    """Yield the pictures that a web page carries within itself; nothing is fetched."""
    line = ""
    for event, element in iterwalk(page_of(decoded(content)), events=("start", "end")):
        if event == "start" and element.tag == "img" and _DATA.match(source := element.get("src") or ""):
            encoded = source.partition(",")[2]
            yield Shown(lambda encoded=encoded: opened(b64decode(encoded)), _said_of(element), line=line)  # type: ignore[misc]
        said = element.text if event == "start" else element.tail
        line = " ".join((said or "").split()) or line


def _said_of(image: HtmlElement) -> str:
    figure = next(image.iterancestors("figure"), None)
    under = figure.findtext(".//figcaption") if figure is not None else None
    return image.get("alt") or under or image.get("title") or ""
