"""Electronic books (EPUB): chapters in the order of the spine (defusedxml)."""

from __future__ import annotations

import posixpath
import zipfile
from io import BytesIO
from urllib.parse import unquote

import defusedxml.ElementTree

from kiban.backends.parsers.html import read_html
from kiban.backends.parsers.outline import Outline
from kiban.domain.document import ParsedDocument
from kiban.errors import BrokenFile, EmptyFile

_CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
_PACKAGE = "{http://www.idpf.org/2007/opf}"
_TITLE = "{http://purl.org/dc/elements/1.1/}title"


def read_epub(content: bytes, stem: str) -> ParsedDocument:
    """Return the chapters; a place's anchor begins with the chapter's file. Raises BrokenFile."""
    outline = Outline()
    with zipfile.ZipFile(BytesIO(content)) as book:
        container = defusedxml.ElementTree.fromstring(book.read("META-INF/container.xml"), forbid_dtd=True)
        root = container.find(f".//{_CONTAINER}rootfile")
        if root is None:
            raise BrokenFile("a book without contents")
        path = root.get("full-path", "")
        package = defusedxml.ElementTree.fromstring(book.read(path), forbid_dtd=True)
        files = {item.get("id"): item.get("href", "") for item in package.iter(f"{_PACKAGE}item")}
        for entry in package.iter(f"{_PACKAGE}itemref"):
            href = unquote(files.get(entry.get("idref"), ""))
            chapter = posixpath.normpath(posixpath.join(posixpath.dirname(path), href))
            try:
                outline.enclose(href, read_html(book.read(chapter), posixpath.splitext(href)[0]))
            except EmptyFile:  # a page of pictures
                continue
        title = package.findtext(f".//{_TITLE}") or ""
    return outline.document(title.strip() or stem)
