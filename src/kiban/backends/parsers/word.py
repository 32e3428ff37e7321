"""Word documents (python-docx): paragraphs and tables in their order, under their headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO

import docx
from docx.document import Document
from docx.oxml.ns import qn
from docx.oxml.xmlchemy import BaseOxmlElement
from docx.table import Table
from docx.text.paragraph import Paragraph

from kiban.backends.parsers.outline import Outline, table_lines
from kiban.domain.document import ParsedDocument

_HEADING = re.compile(r"(?:heading|見出し)\s*([1-9])", re.IGNORECASE)
_TITLES = ("title", "表題")
_MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_PIECES = {
    _MATH: "",
    qn("w:t"): "",
    qn("w:tab"): "\t",
    qn("w:br"): "\n",
    qn("w:cr"): "\n",
    qn("w:noBreakHyphen"): "-",
}
# A text box is written twice (once for old readers), and furigana repeats the word it stands over.
_REPEATED = (qn("w:rt"), "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback")


def read_word(content: bytes, stem: str) -> ParsedDocument:
    document = docx.Document(BytesIO(content))
    outline = Outline()
    for block in blocks(document.element.body):
        if block.tag == qn("w:tbl"):
            for line in table_lines(_rows(Table(block, document))):
                outline.add(line)
        else:
            _add_paragraph(outline, Paragraph(block, document))
    return outline.document(_title(document) or stem)


def blocks(parent: BaseOxmlElement) -> Iterator[BaseOxmlElement]:
    """Yield paragraphs and tables in order; content controls are walked through."""
    for child in parent.iterchildren(qn("w:p"), qn("w:tbl"), qn("w:sdt")):
        if child.tag == qn("w:sdt"):
            for content in child.iterchildren(qn("w:sdtContent")):
                yield from blocks(content)
        else:
            yield child


def _add_paragraph(outline: Outline, paragraph: Paragraph) -> None:
    text = text_of(paragraph._p)
    style = (paragraph.style.name or "") if paragraph.style is not None else ""
    if heading := _HEADING.match(style):
        outline.heading(int(heading[1]), text)
    elif style.lower() in _TITLES:
        outline.heading(0, text)
    elif text.strip() and (style.startswith("List ") or _is_numbered(paragraph)):
        outline.add(f"・{text}")
    else:
        outline.lines(text)


def _is_numbered(paragraph: Paragraph) -> bool:
    properties = paragraph._p.pPr
    return properties is not None and properties.numPr is not None


def _rows(table: Table) -> list[list[str]]:
    return [
        ["\n".join(text_of(paragraph) for paragraph in cell._tc.iter(qn("w:p"))) for cell in row.cells]
        for row in table.rows
    ]


def text_of(element: BaseOxmlElement) -> str:
    """Return the text as it reads with all tracked changes accepted (deleted text has other elements)."""
    if element.tag in _REPEATED:
        return ""
    if element.tag in _PIECES:
        return _PIECES[element.tag] or element.text or ""
    return "".join(text_of(child) for child in element)


def _title(document: Document) -> str:
    title = document.core_properties.title or ""
    return "" if title.lower() in ("word document", "untitled") else title
