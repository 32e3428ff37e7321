"""Outlook messages (python-oxmsg), told as other mail is."""

from __future__ import annotations

from io import BytesIO

from oxmsg import Message

from kiban.backends.parsers.html import read_html
from kiban.backends.parsers.mail import HEADERS
from kiban.backends.parsers.members import enclose
from kiban.backends.parsers.outline import Outline
from kiban.backends.parsers.reading import Reading
from kiban.backends.parsers.reflow import reflow
from kiban.domain.document import ParsedDocument

_MARK = "__properties_version1.0".encode("utf-16-le")


def is_message(content: bytes) -> bool:
    """Say whether an OLE file is a message."""
    return _MARK in content


def read_outlook(content: bytes, stem: str, reading: Reading) -> ParsedDocument:
    message = Message.load(BytesIO(content))
    outline = Outline()
    sent = message.sent_date.isoformat(sep=" ", timespec="minutes") if message.sent_date else ""
    told = {
        "Subject": message.subject,
        "From": message.sender,
        "To": ", ".join(f"{to.name} <{to.email_address}>" for to in message.recipients),
        "Date": sent,
    }
    for header, value in told.items():
        if value := " ".join((value or "").split()):
            outline.add(f"{HEADERS[header]}: {value}")
    for line in _body(message):
        outline.add(line)
    attached = [(part.file_name or "attachment", part.file_bytes or b"") for part in message.attachments]
    if attached:
        outline.add("添付: " + "、".join(name for name, _ in attached))
    enclose(outline, attached, reading)
    return outline.document(" ".join((message.subject or "").split()) or stem)


def _body(message: Message) -> list[str]:
    if message.body:
        return reflow(message.body.replace("\r\n", "\n")).split("\n")
    if message.html_body:
        return [section.text for section in read_html(message.html_body.encode(), "").sections]
    return []
