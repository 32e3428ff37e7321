"""Zip archives, office files above all: looked at before any library opens them (defusedxml)."""

from __future__ import annotations

import zipfile
import zlib
from io import BytesIO
from xml.etree.ElementTree import ParseError

import defusedxml.ElementTree
from defusedxml.common import DefusedXmlException

from kiban.errors import BrokenFile, EncryptedFile, HostileFile, UnsupportedFormat

MOST_BYTES = 500 * 2**20  # unpacked, all parts together
MOST_RATIO = 200  # unpacked ÷ packed; honest office files stay below 50
RATIO_FREE = 20 * 2**20  # unpacked bytes below which the ratio does not matter
MOST_PARTS = 20_000
_STRICT = b"http://purl.oclc.org/ooxml/"
_MAIN_PARTS = {"word/document.xml": ".docx", "xl/workbook.xml": ".xlsx", "ppt/presentation.xml": ".pptx"}
_TYPES = {b"application/epub+zip": ".epub"}  # what a first part called "mimetype" says


def archive_format(content: bytes) -> str:
    """Return ".docx", ".xlsx", ".pptx", ".odf", ".epub" or ".zip".

    Raises BrokenFile, EncryptedFile, HostileFile (it would unpack to too much, or declares entities),
    UnsupportedFormat.
    """
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            _refuse_bombs(archive, len(content))
            kind = _kind(archive, set(archive.namelist()))
            if kind in (".zip", ".epub"):
                return kind
            _refuse_entities(archive)
            if kind != ".odf" and _STRICT in archive.read("_rels/.rels"):
                raise UnsupportedFormat("Strict Open XML; save it as an ordinary Office file")
            return kind
    except (
        KeyError,
        zipfile.BadZipFile,
        EOFError,
        NotImplementedError,
        ValueError,
        OSError,
        zlib.error,
    ) as error:
        raise BrokenFile(f"damaged zip archive: {error}") from error


def _kind(archive: zipfile.ZipFile, names: set[str]) -> str:
    if kind := next((kind for part, kind in _MAIN_PARTS.items() if part in names), None):
        return kind
    kind = _TYPES.get(archive.read("mimetype")[:64].strip(), ".zip") if "mimetype" in names else ".zip"
    return ".odf" if kind == ".zip" and {"content.xml", "META-INF/manifest.xml"} <= names else kind


def _refuse_bombs(archive: zipfile.ZipFile, size: int) -> None:
    parts = archive.infolist()
    unpacked = sum(part.file_size for part in parts)
    if len(parts) > MOST_PARTS:
        raise HostileFile(f"{len(parts):,} parts")
    if unpacked > MOST_BYTES or (unpacked > RATIO_FREE and unpacked > MOST_RATIO * size):
        raise HostileFile(f"{size:,} bytes would unpack to {unpacked:,}")
    if any(part.flag_bits & 1 for part in parts):
        raise EncryptedFile("its zip parts are encrypted")


def _refuse_entities(archive: zipfile.ZipFile) -> None:
    """A document type can only stand before the first element, so no part is read further than that."""
    for name in archive.namelist():
        if not name.endswith((".xml", ".rels")):
            continue
        with archive.open(name) as part:
            try:
                next(defusedxml.ElementTree.iterparse(part, events=("start",), forbid_dtd=True), None)
            except DefusedXmlException as error:
                raise HostileFile(f"{name} declares a document type or entities") from error
            except ParseError as error:
                raise BrokenFile(f"{name} is not XML: {error}") from error
