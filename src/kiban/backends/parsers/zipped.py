"""Zip archives (standard library): every file in them is read under its name."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import PurePosixPath

from kiban.backends.parsers.members import enclose
from kiban.backends.parsers.outline import Outline
from kiban.backends.parsers.reading import Reading
from kiban.domain.document import ParsedDocument
from kiban.errors import BrokenFile, EncryptedFile, UnsupportedFormat

_UTF8_NAME = 0x800  # flag of the format; without it, names are in the character set of whoever packed
_ENCRYPTED = 0x1
_LITTER = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")


def read_zip(content: bytes, stem: str, reading: Reading) -> ParsedDocument:
    """Return each member under its name. Raises EncryptedFile, HostileFile, BrokenFile, UnsupportedFormat."""
    outline = Outline()
    with zipfile.ZipFile(BytesIO(content)) as archive:
        enclose(outline, _members(archive), reading)
    document = outline.document(stem)
    if not document.unread and all(not section.place.anchor for section in document.sections):
        told = document.text or "it is empty"
        raise UnsupportedFormat(f"an archive in which nothing can be read: {told}"[:300])
    return document


def _members(archive: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    for member in archive.infolist():
        name = _name(member)
        if member.is_dir() or any(part in name for part in _LITTER):
            continue
        if member.flag_bits & _ENCRYPTED:
            raise EncryptedFile("its files are encrypted")
        try:
            yield name, archive.read(member)
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
            raise BrokenFile(f"damaged zip archive: {name}: {error}") from error


def _name(member: zipfile.ZipInfo) -> str:
    """Return a member's path. Windows in Japan writes names in cp932 and does not say so."""
    name = member.filename
    if not member.flag_bits & _UTF8_NAME and not name.isascii():
        try:
            name = name.encode("cp437").decode("cp932")
        except UnicodeError:
            pass  # then it was the character set of the format after all
    return str(PurePosixPath(name.replace("\\", "/")))
