"""Mail messages (standard library): who wrote what to whom and when, and what was attached."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from email.message import EmailMessage

from kiban.backends.parsers.html import read_markup
from kiban.backends.parsers.members import enclose
from kiban.backends.parsers.outline import Outline
from kiban.backends.parsers.plaintext import decode
from kiban.backends.parsers.reading import Reading
from kiban.backends.parsers.reflow import reflow
from kiban.domain.document import ParsedDocument
from kiban.errors import BrokenFile

HEADERS = {"Subject": "件名", "From": "差出人", "To": "宛先", "Cc": "写し", "Date": "日時"}


def read_mail(content: bytes, stem: str, reading: Reading) -> ParsedDocument:
    message = email.message_from_bytes(content, policy=email.policy.default)
    if not isinstance(message, EmailMessage) or not ({"From", "Subject", "Date"} & set(message.keys())):
        raise BrokenFile("no mail headers")
    outline = Outline()
    for header, name in HEADERS.items():
        if value := " ".join(str(message.get(header, "")).split()):
            outline.add(f"{name}: {value}")
    for line in _body(message):
        outline.add(line)
    attached = list(_attachments(message))
    if attached:
        outline.add("添付: " + "、".join(name for name, _ in attached))
    enclose(outline, attached, reading)
    return outline.document(" ".join(str(message.get("Subject", "")).split()) or stem)


def _attachments(message: EmailMessage) -> Iterator[tuple[str, bytes]]:
    for part in message.iter_attachments():
        if part.get_content_type() == "message/rfc822":
            inner = part.get_content()
            subject = " ".join(str(inner.get("Subject", "")).split()) or "message"
            yield part.get_filename() or f"{subject}.eml", inner.as_bytes()
        elif name := part.get_filename():
            payload = part.get_payload(decode=True)
            yield name, payload if isinstance(payload, bytes) else b""


def _body(message: EmailMessage) -> list[str]:
    part = message.get_body(preferencelist=("plain", "html"))
    if part is None:
        return []
    payload = part.get_payload(decode=True)
    text = _decoded(payload if isinstance(payload, bytes) else b"", part.get_content_charset())
    if part.get_content_subtype() == "html":
        return [section.text for section in read_markup(text, "").sections]
    return reflow(text).split("\n")


def _decoded(payload: bytes, charset: str | None) -> str:
    """Decode as declared; mail programs lie about half-width kana and cp932, so guess when that fails."""
    try:
        return payload.decode(charset or "utf-8").replace("\r\n", "\n")
    except (LookupError, UnicodeDecodeError):
        return decode(payload)
