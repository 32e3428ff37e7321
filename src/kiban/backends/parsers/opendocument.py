"""OpenDocument text, sheets and slides (ODF 1.3), read from their XML (lxml)."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from io import BytesIO

from lxml import etree

from kiban.backends.parsers.outline import Outline, table_lines
from kiban.domain.document import ParsedDocument, Place

_SPACE = "urn:oasis:names:tc:opendocument:xmlns:"
_TEXT, _TABLE, _DRAW = f"{{{_SPACE}text:1.0}}", f"{{{_SPACE}table:1.0}}", f"{{{_SPACE}drawing:1.0}}"
_OFFICE, _PRESENTATION = f"{{{_SPACE}office:1.0}}", f"{{{_SPACE}presentation:1.0}}"
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_SKIPPED = (f"{_TEXT}tracked-changes", f"{_OFFICE}annotation", f"{_TEXT}ruby-text", f"{_OFFICE}forms")
_MOST_REPEATS = 1000  # of a cell or row that stands for many; files say "to the end of the sheet" so


def read_opendocument(content: bytes, stem: str) -> ParsedDocument:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    with zipfile.ZipFile(BytesIO(content)) as archive:
        body = etree.fromstring(archive.read("content.xml"), parser).find(f"{_OFFICE}body")
        names = archive.namelist()
        meta = etree.fromstring(archive.read("meta.xml"), parser) if "meta.xml" in names else None
    outline = Outline()
    slides = 0
    for element in body[0] if body is not None and len(body) else ():
        if element.tag == f"{_DRAW}page":
            slides += 1
            outline.turn_to(Place(slide=slides))
        elif element.tag == f"{_TABLE}table" and body[0].tag == f"{_OFFICE}spreadsheet":
            outline.turn_to(Place(sheet=element.get(f"{_TABLE}name", "")))
        _walk(outline, element)
    title = meta.findtext(f".//{_TITLE}") if meta is not None else ""
    return outline.document((title or "").strip() or stem)


def _walk(outline: Outline, element: etree._Element) -> None:
    if element.tag in _SKIPPED:
        return
    if (add := _BY_TAG.get(element.tag)) is not None:
        add(outline, element)
    else:
        for child in element:
            _walk(outline, child)


def _heading(outline: Outline, element: etree._Element) -> None:
    level = element.get(f"{_TEXT}outline-level", "1")
    outline.heading(int(level) if level.isdecimal() else 1, _text(element))


def _paragraph(outline: Outline, element: etree._Element) -> None:
    outline.lines(_text(element))
    for box in element.iter(f"{_DRAW}text-box"):
        for child in box:
            _walk(outline, child)


def _item(outline: Outline, element: etree._Element) -> None:
    outline.add("・" + "\n".join(_text(part) for part in element.iter(f"{_TEXT}p", f"{_TEXT}h")))


def _table(outline: Outline, element: etree._Element) -> None:
    for line in table_lines(list(_rows(element))):
        outline.add(line)


def _notes(outline: Outline, element: etree._Element) -> None:
    if notes := " ".join(filter(None, (_text(part) for part in element.iter(f"{_TEXT}p")))):
        outline.add(f"ノート: {notes}")


_BY_TAG = {
    f"{_TEXT}h": _heading,
    f"{_TEXT}p": _paragraph,
    f"{_TEXT}list-item": _item,
    f"{_TABLE}table": _table,
    f"{_PRESENTATION}notes": _notes,
}


def _rows(table: etree._Element) -> Iterator[list[str]]:
    """Yield rows of texts; a cell that spans says what it says in every column of its span."""
    for row in table.iter(f"{_TABLE}table-row"):
        texts: list[str] = []
        for cell in row.iter(f"{_TABLE}table-cell"):
            text = "\n".join(_text(part) for part in cell.iter(f"{_TEXT}p", f"{_TEXT}h"))
            wide = max(_number(cell, "number-columns-repeated"), _number(cell, "number-columns-spanned"))
            texts += [text] * wide
        repeated = _number(row, "number-rows-repeated") if any(texts) else 1
        for _ in range(repeated):
            yield texts


def _number(element: etree._Element, name: str) -> int:
    value = element.get(f"{_TABLE}{name}", "1")
    return min(int(value), _MOST_REPEATS) if value.isdecimal() else 1


def _text(element: etree._Element) -> str:
    """Return the text of a paragraph, without what floats beside it."""
    text = element.text or ""
    for child in element:
        if child.tag == f"{_TEXT}s":
            text += " " * min(int(child.get(f"{_TEXT}c", "1")), 100)
        elif child.tag in (f"{_TEXT}tab", f"{_TEXT}line-break"):
            text += "\t" if child.tag == f"{_TEXT}tab" else "\n"
        elif child.tag not in _SKIPPED and isinstance(child.tag, str) and child.tag != f"{_DRAW}frame":
            text += _text(child)
        text += child.tail or ""
    return text
