"""Small real files, and what chance makes of them (attack D5)."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from email.message import EmailMessage
from io import BytesIO
from random import Random

import docx
import openpyxl
import pptx
from PIL import Image

from kiban.bench.attacks.bombs import pdf, zipped

_CHANGES = (1, 1, 2, 3, 6, 12)
_PIECES = (4, 40, 400)  # bytes, at most


def seeds() -> dict[str, bytes]:
    """Return one small file of each format, by ending."""
    text = "第6条 宿泊費は、一泊につき12,000円とする。\n".encode()
    page = "".join(f"BT /F1 12 Tf 72 {700 - 20 * row} Td (row {row}) Tj ET\n" for row in range(8))
    places = ((60, 500), (180, 600), (300, 720))
    grid = "".join(f"{x} 500 m {x} 720 l S 60 {y} m 300 {y} l S\n" for x, y in places)
    mail = EmailMessage()
    mail["Subject"], mail["From"] = "見積", "a@example.com"
    mail.set_content("本文です。")
    mail.add_attachment(text, maintype="text", subtype="plain", filename="条文.txt")
    markdown = b"# a\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n- x\n- y\n\n" + text
    return {
        ".docx": _word(),
        ".xlsx": _workbook(),
        ".pptx": _deck(),
        ".pdf": pdf((page + grid).encode(), ""),
        ".eml": mail.as_bytes(),
        ".html": b"<h1 id=a>a</h1><table><tr><th>a<th>b<tr><td rowspan=2>1<td>2</table>" + text,
        ".md": markdown,
        ".csv": b"a,b,c\n1,2,3\n" * 5 + text,
        ".json": '[{"品番": "PPR-9087", "数": 3}, {"品番": "VLV-1", "数": null}]'.encode(),
        ".txt": text * 5,
        ".zip": zipped({"a.md": markdown, "b/条文.txt": text}),
        ".odt": _opendocument(),
        ".png": _picture(),
    }


def mutated(chance: Random, originals: Mapping[str, bytes]) -> tuple[str, bytes]:
    """Return a name and content: one of the files with some bytes changed, within its archive or outside."""
    ending = chance.choice(sorted(originals))
    content = originals[ending]
    if content.startswith(b"PK") and chance.random() < 0.6:
        return f"mutant{ending}", _inside(chance, content)
    other = originals[chance.choice(sorted(originals))]
    return f"mutant{ending}", _damaged(chance, content, other)


def _inside(chance: Random, content: bytes) -> bytes:
    """Damage some parts of an archive and pack it again, so that the damage reaches what reads the parts."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for name in chance.sample(sorted(parts), min(len(parts), chance.randint(1, 3))):
        if chance.random() < 0.1:
            del parts[name]
        else:
            parts[name] = _damaged(chance, parts[name], parts[name])
    return zipped(parts)


def _damaged(chance: Random, content: bytes, other: bytes) -> bytes:
    made = bytearray(content)
    for _ in range(chance.choice(_CHANGES)):
        place = chance.randrange(len(made) + 1)
        length = chance.randint(1, chance.choice(_PIECES))
        match chance.randrange(6):
            case 0 if place < len(made):
                made[place] ^= 1 << chance.randrange(8)
            case 1:
                del made[place : place + length]
            case 2:
                made[place:place] = made[place : place + length] * chance.randint(1, 20)
            case 3:
                made[place:place] = chance.randbytes(length)
            case 4:
                start = chance.randrange(len(other))
                made[place : place + length] = other[start : start + length]
            case 5 if chance.random() < 0.2:
                del made[place:]
    return bytes(made)


def _word() -> bytes:
    document = docx.Document()
    document.add_heading("旅費規程", 1)
    document.add_paragraph("宿泊費は実費とする。")
    document.add_table(rows=2, cols=2).cell(0, 0).text = "等級"
    return _saved(document)


def _workbook() -> bytes:
    book = openpyxl.Workbook()
    for row in (("品番", "数"), ("PPR-9087", 3), ("VLV-1", 0.5)):
        book.worksheets[0].append(row)
    book.worksheets[0].merge_cells("A4:B5")
    return _saved(book)


def _deck() -> bytes:
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    slide.shapes.title.text = "新製品"
    slide.notes_slide.notes_text_frame.text = "価格は言わない。"
    return _saved(presentation)


def _opendocument() -> bytes:
    space = "urn:oasis:names:tc:opendocument:xmlns"
    content = (
        f'<o:document-content xmlns:o="{space}:office:1.0" xmlns:t="{space}:text:1.0"><o:body><o:text>'
        '<t:h t:outline-level="1">規程</t:h><t:p>本文<t:s t:c="3"/>です。</t:p>'
        "</o:text></o:body></o:document-content>"
    )
    return zipped({"content.xml": content.encode(), "META-INF/manifest.xml": b"<m/>"})


def _picture() -> bytes:
    made = BytesIO()
    Image.new("RGB", (300, 200), "white").save(made, "PNG")
    return made.getvalue()


def _saved(document: docx.document.Document | openpyxl.Workbook | pptx.presentation.Presentation) -> bytes:
    made = BytesIO()
    document.save(made)
    return made.getvalue()
