"""Which parser reads a file: what it begins with decides, and its name where that says nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePosixPath

from kiban.backends.parsers.archive import office_format
from kiban.backends.parsers.html import read_html
from kiban.backends.parsers.mail import read_mail
from kiban.backends.parsers.markdown import read_markdown
from kiban.backends.parsers.pdf import read_pdf
from kiban.backends.parsers.plaintext import read_table, read_text
from kiban.backends.parsers.sheet import read_sheets
from kiban.backends.parsers.slides import read_slides
from kiban.backends.parsers.word import read_word
from kiban.domain.document import ParsedDocument, Section
from kiban.errors import BrokenFile, DocumentError, EmptyFile, EncryptedFile, HostileFile, UnsupportedFormat

Reader = Callable[[bytes, str], ParsedDocument]  # content, file name without its ending

_BY_NAME: dict[str, Reader] = {
    **dict.fromkeys((".md", ".markdown"), read_markdown),
    **dict.fromkeys((".html", ".htm", ".xhtml"), read_html),
    **dict.fromkeys((".txt", ".text", ".log", ".rst", ".adoc"), read_text),
    **dict.fromkeys((".csv", ".tsv"), read_table),
    ".eml": read_mail,
}
_BY_CONTENT: dict[str, Reader] = {
    ".docx": read_word,
    ".xlsx": read_sheets,
    ".pptx": read_slides,
    ".pdf": read_pdf,
}
_CONTENT_ENDINGS = (*_BY_CONTENT, ".docm", ".dotx", ".xlsm", ".pptm")

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_OFFICE = "EncryptedPackage".encode("utf-16-le")
_PDF_WITHIN = 1024  # bytes: viewers look this far for "%PDF-"

# Control characters, lone surrogates, and the tag characters that hide text from people but not models.
_UNSPEAKABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\U000e0000-\U000e007f]")


def parse(uri: str, content: bytes, pictures: int = 0) -> ParsedDocument:
    """Return the text of a file by place. Raises a DocumentError for what cannot be read."""
    if not content.strip():
        raise EmptyFile(f"{len(content)} bytes")
    name = PurePosixPath(uri)
    document = _speakable(_read(_reader(content, name.suffix.lower()), content, name.stem))
    if not any(section.text.strip() for section in document.sections):
        is_pdf = content.startswith(b"%PDF-")
        raise EmptyFile("no text layer; a scan has to go through OCR first" if is_pdf else "no text")
    return document


def _reader(content: bytes, ending: str) -> Reader:
    if content.startswith(b"%PDF-") or (ending == ".pdf" and b"%PDF-" in content[:_PDF_WITHIN]):
        return read_pdf
    if content.startswith(_ZIP):
        return _BY_CONTENT[office_format(content)]
    if content.startswith(_OLE):
        if _ENCRYPTED_OFFICE in content:
            raise EncryptedFile("an Office file with a password")
        raise UnsupportedFormat("an Office file of before 2007; save it in today's format")
    if ending in _CONTENT_ENDINGS:
        raise BrokenFile(f"its content is not what {ending} promises")
    if ending not in _BY_NAME:
        raise UnsupportedFormat(f"ending {ending or '(none)'}")
    return _BY_NAME[ending]


def _read(reader: Reader, content: bytes, stem: str) -> ParsedDocument:
    try:
        return reader(content, stem)
    except DocumentError:
        raise
    except MemoryError as error:
        raise HostileFile("it takes more memory than a parser may use") from error
    except RecursionError as error:
        raise HostileFile("it is nested too deeply") from error
    except Exception as error:  # boundary: libraries raise anything at all on damaged files
        raise BrokenFile(f"{type(error).__name__}: {error}"[:300]) from error


def _speakable(document: ParsedDocument) -> ParsedDocument:
    """Return the document without characters that no database stores and no person sees."""
    return ParsedDocument(
        _UNSPEAKABLE.sub("", document.title),
        tuple(Section(_UNSPEAKABLE.sub("", section.text), section.place) for section in document.sections),
    )
