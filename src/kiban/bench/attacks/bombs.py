"""Files that are small, and would be enormous to whoever believed them (attack D1)."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO

_BLOCK = 2**24  # bytes of zeros behind one flushed piece of a deflate stream


def zipped(members: dict[str, bytes]) -> bytes:
    """Return a zip archive."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def office(main: str, xml: str, **parts: bytes) -> bytes:
    """Return an Office file with this main part, "word/document.xml" for one."""
    relations = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship '
        'Id="r" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
        f'Target="{main}"/></Relationships>'
    )
    kinds = {
        "word": "wordprocessingml.document",
        "xl": "spreadsheetml.sheet",
        "ppt": "presentationml.presentation",
    }
    kind = f"application/vnd.openxmlformats-officedocument.{kinds[main.split('/')[0]]}.main+xml"
    types = (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/><Override PartName="/{main}" '
        f'ContentType="{kind}"/></Types>'
    )
    heads = {"[Content_Types].xml": types.encode(), "_rels/.rels": relations.encode()}
    return zipped({**heads, main: xml.encode(), **parts})


def word(body: str, doctype: str = "") -> bytes:
    """Return a Word file with this body."""
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    return office("word/document.xml", f"{doctype}<w:document {space}><w:body>{body}</w:body></w:document>")


def pdf(
    stream: bytes, filters: str, *, kids: str = "3 0 R", count: int = 1, box: str = "0 0 612 792"
) -> bytes:
    """Return a PDF with one content stream."""
    content = b"<< /Length %d %s>> stream\n" % (len(stream), filters.encode()) + stream + b"\nendstream"
    resources = "/Resources << /Font << /F1 5 0 R >> >>"
    page = f"<< /Type /Page /Parent 2 0 R /MediaBox [{box}] /Contents 4 0 R {resources} >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>".encode(),
        page.encode(),
        content,
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    made, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(made))
        made += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    tail = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, len(made))
    return made + b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table + tail


def zeros(size: int) -> bytes:
    """Return the zlib stream of so many zeros, a multiple of 16 MiB, without compressing them all."""
    packer = zlib.compressobj(9)
    first = packer.compress(bytes(_BLOCK)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(_BLOCK)) + packer.flush(zlib.Z_FULL_FLUSH)
    end = b"\x03\x00" + struct.pack(">I", (size % 65521) << 16 | 1)  # an empty last block, and Adler-32
    return first + again * (size // _BLOCK - 1) + end


def lzw_zeros(rounds: int) -> bytes:
    """Return the LZW stream of 7 MB of zeros a round (PDF 32000-1, 7.4.4), cleared when the table is full."""
    bits: list[str] = []
    width, code = 9, 258
    for _ in range(rounds):
        bits.append(format(256, f"0{width}b"))
        width, code = 9, 258
        bits.append(format(0, "09b"))
        while code < 4094:
            bits.append(format(code, f"0{width}b"))
            code += 1
            width = 9 if code < 511 else 10 if code < 1023 else 11 if code < 2047 else 12
    bits.append(format(257, f"0{width}b"))
    text = "".join(bits)
    return int(text + "0" * (-len(text) % 8), 2).to_bytes((len(text) + 7) // 8, "big")


def _nested_zips(width: int, depth: int) -> bytes:
    content = zipped({"0.txt": bytes(2**24)})
    for _ in range(depth):
        content = zipped({f"{number}.zip": content for number in range(width)})
    return content


def _chain(depth: int) -> bytes:
    """Return an archive in an archive, again and again: what a zip that holds itself is to its reader."""
    content = b"the end"
    for _ in range(depth):
        content = zipped({"r.zip": content})
    return content


def _laughs() -> str:
    levels = "".join(f'<!ENTITY a{level} "{f"&a{level - 1};" * 10}">' for level in range(1, 11))
    return f'<!DOCTYPE d [<!ENTITY a0 "ha">{levels}]>'


def _sheet() -> bytes:
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    relations = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="r1" '
        'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" '
        'Target="worksheets/sheet1.xml"/></Relationships>'
    )
    cells = ((_column(number % 16_384), 31_623 + number) for number in range(32_000))
    rows = "".join(f'<row r="{row}"><c r="{column}{row}"><v>1</v></c></row>' for column, row in cells)
    sheet = f'<worksheet {space}><dimension ref="A1:XFD1048576"/><sheetData>{rows}</sheetData></worksheet>'
    book = (
        f'<workbook {space} xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>'
        '<sheet name="s" sheetId="1" r:id="r1"/></sheets></workbook>'
    )
    return office(
        "xl/workbook.xml",
        book,
        **{"xl/_rels/workbook.xml.rels": relations.encode(), "xl/worksheets/sheet1.xml": sheet.encode()},
    )


def _column(number: int) -> str:
    name = ""
    number += 1
    while number:
        number, letter = divmod(number - 1, 26)
        name = chr(65 + letter) + name
    return name


def _png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zeros(_BLOCK)) + chunk(b"IEND", b"")


def _mails(depth: int) -> bytes:
    heads = "".join(
        f'Subject: {level}\r\nContent-Type: multipart/mixed; boundary="b{level}"\r\n\r\n--b{level}\r\n'
        for level in range(depth)
    )
    return (heads + "Content-Type: text/plain\r\n\r\nend\r\n").encode()


BOMBS: dict[str, Callable[[], bytes]] = {
    "nested.zip": lambda: _nested_zips(16, 5),
    "chain.zip": lambda: _chain(1000),
    "one-huge-member.zip": lambda: zipped({"a.txt": bytes(2**30)}),
    "nested.docx": lambda: zipped(
        {f"{number}.docx": zipped({"word/document.xml": bytes(2**26)}) for number in range(9)}
    ),
    "deep.docx": lambda: word("<w:sdt><w:sdtContent>" * 100_000 + "</w:sdtContent></w:sdt>" * 100_000),
    "laughs.docx": lambda: word("<w:p><w:r><w:t>&a10;</w:t></w:r></w:p>", _laughs()),
    "laughs.html": lambda: f"{_laughs()}<html><body>&a10;</body></html>".encode(),
    "flate-10GB.pdf": lambda: pdf(zeros(10 * 2**30), "/Filter /FlateDecode "),
    "flate-twice.pdf": lambda: pdf(
        zlib.compress(zeros(10 * 2**30), 9), "/Filter [/FlateDecode /FlateDecode] "
    ),
    "lzw-1GB.pdf": lambda: pdf(lzw_zeros(140), "/Filter /LZWDecode "),
    "million-pages.pdf": lambda: pdf(b"", "", kids="3 0 R " * 1_000_000, count=1_000_000),
    "vast-page.pdf": lambda: pdf(b"0 0 m 1e9 1e9 l S", "", box="0 0 1e9 1e9"),
    "billion-cells.xlsx": _sheet,
    "deep.json": lambda: b"[" * 1_000_000 + b"]" * 1_000_000,
    "deep-objects.json": lambda: b'{"a":' * 500_000 + b"1" + b"}" * 500_000,
    "wide.json": lambda: json.dumps([{str(number): 1} for number in range(20_000)]).encode(),
    "deep.html": lambda: b"<div>" * 1_000_000 + b"x",
    "spans.html": lambda: (
        b"<table>" + b"<tr><td rowspan=65534 colspan=1000>x</td></tr>" * 5_000 + b"</table>"
    ),
    "quotes.md": lambda: b">" * 200_000 + b" x",
    "brackets.md": lambda: b"[" * 300_000,
    "numbers.txt": lambda: b"1." * 2_000_000 + b"\n",
    "columns.csv": lambda: b"," * 5_000_000 + b"\n" + b"1," * 5_000_000,
    "vast.png": lambda: _png(100_000, 100_000),
    "parts.eml": lambda: _mails(20_000),
}
