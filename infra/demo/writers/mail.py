"""Writes eml (RFC 5322) in the charset and transfer encoding its head names."""

from __future__ import annotations

from datetime import datetime
from email import policy
from email.header import Header
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr

from writers.original import Original


def write(original: Original) -> bytes:
    head = original.head
    charset = head["charset"]
    # The default policy turns every header into UTF-8; old Japanese mailers kept to ISO-2022-JP.
    message = EmailMessage(policy=policy.compat32.clone(linesep="\r\n"))
    message["From"] = _address(head["from"], charset)
    message["To"] = _address(head["to"], charset)
    message["Date"] = format_datetime(datetime.fromisoformat(head["date"]))
    message["Subject"] = _encoded(head["subject"], charset)
    message["Message-ID"] = f"<{head['date'][:10]}.{head['encoding']}@kirisawa.example>"
    body = EmailMessage()
    body.set_content(original.body, charset=charset, cte=head["encoding"])
    for name, value in body.items():
        message[name] = value
    message.set_payload(body.get_payload())
    return message.as_bytes()


def _address(text: str, charset: str) -> str:
    name, address = parseaddr(text)
    return f"{_encoded(name, charset)} <{address}>"


def _encoded(text: str, charset: str) -> str:
    return text if text.isascii() else Header(text, charset).encode()
