"""Which parser reads a file: what it begins with decides, and its name where that says nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import PurePosixPath

from kiban.backends.parsers.archive import archive_format
from kiban.backends.parsers.epub import read_epub
from kiban.backends.parsers.html import read_html
from kiban.backends.parsers.image import read_image
from kiban.backends.parsers.mail import read_mail
from kiban.backends.parsers.markdown import read_markdown
from kiban.backends.parsers.opendocument import read_opendocument
from kiban.backends.parsers.outlook import is_message, read_outlook
from kiban.backends.parsers.pdf import read_pdf
from kiban.backends.parsers.pictures import with_pictures
from kiban.backends.parsers.plaintext import read_table, read_text
from kiban.backends.parsers.reading import Reading
from kiban.backends.parsers.sheet import read_sheets
from kiban.backends.parsers.slides import read_slides
from kiban.backends.parsers.structured import read_json, read_json_lines
from kiban.backends.parsers.word import read_word
from kiban.backends.parsers.zipped import read_zip
from kiban.domain.document import ParsedDocument, Section
from kiban.errors import BrokenFile, DocumentError, EmptyFile, EncryptedFile, HostileFile, UnsupportedFormat

Reader = Callable[[bytes, str], ParsedDocument]  # content, file name without its ending
DeepReader = Callable[[bytes, str, Reading], ParsedDocument]  # of what holds other files or pictures

_BY_NAME: dict[str, Reader] = {
    **dict.fromkeys((".md", ".markdown"), read_markdown),
    **dict.fromkeys((".html", ".htm", ".xhtml"), read_html),
    **dict.fromkeys((".txt", ".text", ".log", ".rst", ".adoc", ".asciidoc"), read_text),
    **dict.fromkeys((".csv", ".tsv"), read_table),
    ".json": read_json,
    **dict.fromkeys((".jsonl", ".ndjson"), read_json_lines),
}
_BY_CONTENT: dict[str, Reader] = {
    ".docx": read_word,
    ".xlsx": read_sheets,
    ".pptx": read_slides,
    ".odf": read_opendocument,
    ".epub": read_epub,
}
_PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif")
_DEEP: dict[str, DeepReader] = {
    ".eml": read_mail,
    ".msg": read_outlook,
    ".pdf": read_pdf,
    ".zip": read_zip,
    **dict.fromkeys(_PICTURES, read_image),
}
_CONTENT_ENDINGS = (
    *(".docx", ".xlsx", ".pptx", ".pdf", ".docm", ".dotx", ".xlsm", ".pptm"),
    *(".odt", ".ods", ".odp", ".epub", ".zip", ".msg"),
)

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_IMAGES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*", b"GIF8", b"BM")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_OFFICE = "EncryptedPackage".encode("utf-16-le")
_PDF_WITHIN = 1024  # bytes: viewers look this far for "%PDF-"

# Control characters, lone surrogates, and the tag characters that hide text from people but not models.
_UNSPEAKABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\U000e0000-\U000e007f]")


def parse(uri: str, content: bytes, pictures: int = 0, thumbnails: int = 0) -> ParsedDocument:
    """Return the text of a file by place; at most so many pictures of text are read, the rest are named, and
    at most so many thumbnails of its figures come with it.

    What shows something but says nothing is given its name as text, so that there is a passage to find.
    Raises a DocumentError for what cannot be read.
    """
    path = PurePosixPath(uri)
    try:
        document = _speakable(_read(uri, content, Reading(_read, pictures)))
    except EmptyFile:
        if not (thumbnails and content.strip()):
            raise
        document = ParsedDocument(path.stem, ())
    if thumbnails:
        with _blaming_the_file():
            kind = _kind(content, path.suffix.lower())
            document = _speakable(with_pictures(document, kind, content, thumbnails))
    if not document.unread and not document.sections:
        raise EmptyFile("no text")
    return document


def _read(name: str, content: bytes, reading: Reading) -> ParsedDocument:
    """Read a file, or one within a file."""
    if not content.strip():
        raise EmptyFile(f"{len(content)} bytes")
    with _blaming_the_file():
        document = _by_its_reader(PurePosixPath(name), content, reading)
    if not document.unread and not any(section.text.strip() for section in document.sections):
        raise EmptyFile("no text")
    return document


@contextmanager
def _blaming_the_file() -> Iterator[None]:
    """Let whatever goes wrong in a library be a DocumentError."""
    try:
        yield
    except DocumentError:
        raise
    except MemoryError as error:
        raise HostileFile("it takes more memory than a parser may use") from error
    except RecursionError as error:
        raise HostileFile("it is nested too deeply") from error
    except Exception as error:  # boundary: libraries raise anything at all on damaged files
        raise BrokenFile(f"{type(error).__name__}: {error}"[:300]) from error


def _by_its_reader(path: PurePosixPath, content: bytes, reading: Reading) -> ParsedDocument:
    kind = _kind(content, path.suffix.lower())
    if deep := _DEEP.get(kind):
        return deep(content, path.stem, reading)
    reader = _BY_CONTENT.get(kind) or _BY_NAME.get(kind)
    if reader is None:
        raise UnsupportedFormat(f"ending {kind or '(none)'}")
    return reader(content, path.stem)


def _kind(content: bytes, ending: str) -> str:
    """Return the ending this content deserves."""
    if content.startswith(b"%PDF-") or (ending == ".pdf" and b"%PDF-" in content[:_PDF_WITHIN]):
        return ".pdf"
    if content.startswith(_ZIP):
        return archive_format(content)
    if content.startswith(_OLE):
        return _old_office(content)
    if content.startswith(_IMAGES) or (content.startswith(b"RIFF") and content[8:12] == b"WEBP"):
        return ".png"
    if content.startswith(b"{\\rtf"):
        raise UnsupportedFormat("Rich Text; save it as a Word document")
    if ending in _CONTENT_ENDINGS:
        raise BrokenFile(f"its content is not what {ending} promises")
    return ending


def _old_office(content: bytes) -> str:
    if _ENCRYPTED_OFFICE in content:
        raise EncryptedFile("an Office file with a password")
    if not is_message(content):
        raise UnsupportedFormat("an Office file of before 2007; save it in today's format")
    return ".msg"


def _speakable(document: ParsedDocument) -> ParsedDocument:
    """Return the document without characters that no database stores and no person sees."""
    return ParsedDocument(
        _UNSPEAKABLE.sub("", document.title),
        tuple(Section(_UNSPEAKABLE.sub("", section.text), section.place) for section in document.sections),
        document.unread,
        tuple(
            replace(picture, caption=_UNSPEAKABLE.sub("", picture.caption)) for picture in document.pictures
        ),
    )
