"""Documents that point outside themselves, and a socket that counts who follows (attack D2)."""

from __future__ import annotations

import socket
from email.message import EmailMessage
from pathlib import Path
from typing import Self

from kiban.bench.attacks.bombs import office, pdf, word, zipped


class Listener:
    """A server nobody should call."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._socket.setblocking(False)
        self.port = int(self._socket.getsockname()[1])

    def calls(self) -> int:
        """Return how many have connected since the last time."""
        count = 0
        while True:
            try:
                self._socket.accept()[0].close()
            except BlockingIOError:
                return count
            count += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def hostile_references(secret: Path, port: int) -> dict[str, bytes]:
    """Return files by name: every way of pointing in every format that XML is in."""
    url = f"http://127.0.0.1:{port}/x"
    ways = {
        "file": f'<!DOCTYPE d [<!ENTITY e SYSTEM "file://{secret}">]>',
        "http": f'<!DOCTYPE d [<!ENTITY e SYSTEM "{url}">]>',
        "parameter": f'<!DOCTYPE d [<!ENTITY % p SYSTEM "{url}.dtd"> %p; <!ENTITY e "x">]>',
        "dtd": f'<!DOCTYPE d SYSTEM "{url}.dtd" [<!ENTITY e "x">]>',
    }
    files: dict[str, bytes] = {}
    for way, doctype in ways.items():
        files |= {f"{way}{ending}": content for ending, content in _formats(doctype, url).items()}
    return files | _links(url, secret)


def _formats(doctype: str, url: str) -> dict[str, bytes]:
    """Return files whose XML begins with a document type and uses its entity."""
    text = "urn:oasis:names:tc:opendocument:xmlns"
    odt = (
        f'{doctype}<office:document-content xmlns:office="{text}:office:1.0" xmlns:text="{text}:text:1.0">'
        "<office:body><office:text><text:p>&e;</text:p></office:text></office:body></office:document-content>"
    )
    xhtml = f'{doctype}<html xmlns="http://www.w3.org/1999/xhtml"><body><p>&e; text</p></body></html>'
    svg = f'{doctype}<svg xmlns="http://www.w3.org/2000/svg"><text>&e;</text></svg>'
    xfa = f"{doctype}<xdp><template>&e;</template></xdp>"
    book = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="p.opf"/></rootfiles></container>'
    )
    package = (
        f'{doctype}<package xmlns="http://www.idpf.org/2007/opf"><manifest>'
        '<item id="c" href="c.xhtml"/></manifest><spine><itemref idref="c"/></spine></package>'
    )
    epub = {"META-INF/container.xml": book.encode(), "p.opf": package.encode(), "c.xhtml": xhtml.encode()}
    mail = EmailMessage()
    mail["Subject"] = "x"
    mail.set_content(xhtml, subtype="html")
    return {
        ".docx": word("<w:p><w:r><w:t>&e;</w:t></w:r></w:p>", doctype),
        ".xlsx": office("xl/workbook.xml", f"{doctype}<workbook>&e;</workbook>"),
        ".pptx": office("ppt/presentation.xml", f"{doctype}<presentation>&e;</presentation>"),
        ".odt": zipped({"content.xml": odt.encode(), "META-INF/manifest.xml": b"<m/>"}),
        ".epub": zipped({"mimetype": b"application/epub+zip", **epub}),
        ".xhtml": xhtml.encode(),
        ".svg": svg.encode(),
        ".zip": zipped({"a.svg": svg.encode(), "a.xhtml": xhtml.encode()}),
        ".eml": mail.as_bytes(),
        ".pdf": pdf(xfa.encode(), f"/XFA ({url}) "),
    }


def _links(url: str, secret: Path) -> dict[str, bytes]:
    """Return files that ask for something without a document type."""
    relation = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="t" '
        'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/attachedTemplate" '
        f'Target="{url}" TargetMode="External"/></Relationships>'
    )
    body = '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body/></w:document>'
    page = (
        f'<link rel="stylesheet" href="{url}"><script src="{url}"></script><base href="{url}">'
        f'<iframe src="file://{secret}"></iframe><object data="file://{secret}"></object>'
        f'<img src="{url}"><p>text</p>'
    )
    action = f"/AA << /O << /S /URI /URI ({url}) >> >> /F << /FS /URL /F ({url}) >> "
    return {
        "template.docx": office(
            "word/document.xml", body, **{"word/_rels/document.xml.rels": relation.encode()}
        ),
        "page.html": page.encode(),
        "page.md": f"![x]({url}) [y](file://{secret})\n\n{page}".encode(),
        "include.rst": f".. include:: {secret}\n.. image:: {url}\n".encode(),
        "include.adoc": f"include::{secret}[]\nimage::{url}[]\n".encode(),
        "action.pdf": pdf(b"BT /F1 12 Tf 72 700 Td (text) Tj ET", action),
    }
