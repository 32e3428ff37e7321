"""Plain text and delimited tables, whatever their character set (charset-normalizer)."""

from __future__ import annotations

import codecs
import csv
import re

import charset_normalizer

from kiban.backends.parsers.outline import LONGEST_HEADING, Outline, table_lines
from kiban.backends.parsers.reflow import reflow
from kiban.domain.document import ParsedDocument
from kiban.errors import BrokenFile

# Ordered: what Japanese offices write. Left free, the guesser takes short cp932 for Chinese or Korean.
_LIKELY = ["cp932", "euc_jp", "utf_16", "cp1252"]
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# A short first line with an empty one after it.
_TITLE_LINE = re.compile(rf"([^\n]{{1,{LONGEST_HEADING}}}(?<![。．.、,!?！？:：]))[ 　]*\n[ 　]*\n")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_LARGEST_FIELD = 1_000_000  # characters of one csv cell


def read_text(content: bytes, stem: str) -> ParsedDocument:
    outline = Outline()
    text = decode(content).lstrip()
    if first := _TITLE_LINE.match(text):
        outline.heading(0, first[1])
        text = text[first.end() :]
    outline.lines(reflow(text))
    return outline.document(stem)


def read_table(content: bytes, stem: str) -> ParsedDocument:
    csv.field_size_limit(_LARGEST_FIELD)
    text = decode(content)
    try:
        rows = list(csv.reader(text.splitlines(keepends=True), delimiter=_delimiter(text)))
    except csv.Error as error:
        raise BrokenFile(f"not a delimited table: {error}") from error
    outline = Outline()
    for line in table_lines(rows, header=True):
        outline.add(line)
    return outline.document(stem)


def decode(content: bytes) -> str:
    """Return text with "\n" line ends. Raises BrokenFile for bytes that are no text."""
    text = _decode(content)
    if 100 * len(_CONTROLS.findall(text)) > len(text):
        raise BrokenFile("binary content, not text")
    return re.sub(r"\r\n?", "\n", text)


def _decode(content: bytes) -> str:
    for bom, encoding in _BOMS.items():
        if content.startswith(bom):
            return content.decode(encoding, errors="replace")
    if b"\x1b$" in content:
        return content.decode("iso2022_jp", errors="replace")
    if (text := _mostly_utf8(content)) is not None:
        return text
    best = charset_normalizer.from_bytes(content, cp_isolation=_LIKELY).best()
    for encoding in [best.encoding] if best else ["cp932", "euc_jp"]:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BrokenFile("its character set is unknown")


def _mostly_utf8(content: bytes) -> str | None:
    """Return UTF-8 text in which a few bytes may be damaged; in another character set nearly all would be."""
    text = content.decode("utf-8", errors="replace")
    damaged = text.count("\ufffd")
    sound = sum(character > "\x7f" for character in text) - damaged if damaged else 0
    return text if 5 * damaged <= sound else None


def _delimiter(text: str) -> str:
    """Return the delimiter that cuts the first lines into the most columns."""
    head = "\n".join(text.split("\n", 5)[:5])
    return max(",\t;", key=head.count)
