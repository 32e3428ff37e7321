"""A parser that does to its process what hostile files do."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from kiban.domain.document import ParsedDocument, Picture, Place, Section


def misbehave(name: str, content: bytes, pictures: int, thumbnails: int) -> ParsedDocument:
    """Do what the name says, to what the content says; what the kernel refuses is told, word for word."""
    deed = _DEEDS.get(Path(name).stem, _nothing)
    try:
        text = str(deed(content.decode()))
    except OSError as error:
        text = f"refused: {error.strerror}"
    return ParsedDocument(name, (Section(text, Place(page=1)),))


def crash(name: str, content: bytes, pictures: int, thumbnails: int) -> ParsedDocument:
    """Die of whatever is read."""
    os.abort()


def exaggerate(name: str, content: bytes, pictures: int, thumbnails: int) -> ParsedDocument:
    """Say of a picture that it is larger than it is."""
    return ParsedDocument(name, (Section("図", Place()),), (), (Picture(0, 200, 100, b"\0" * 3),))


def _nothing(_: str) -> str:
    return "読めた。"


def _forever(seconds: float) -> None:
    while True:
        time.sleep(seconds)


def _compute() -> None:
    while True:
        pass


def _connect(target: str) -> str:
    host, port = target.split(":")
    socket.create_connection((host, int(port))).close()
    return "connected"


def _print() -> str:
    print("a library prints to standard output")
    return "読めた。"


_DEEDS: dict[str, Callable[[str], object]] = {
    "endless": lambda _: _forever(0.01),
    "busy": lambda _: _compute(),
    "greedy": lambda _: bytearray(2**40),
    "crash": lambda _: os.abort(),
    "talkative": lambda _: "あ" * 10_000_000,
    "noisy": lambda _: _print(),
    "liar": lambda _: os.write(0, b"[" * 100_000 + b"\n"),  # its socket
    "forger": lambda _: os.write(0, b'{"title": "", "sections": [["forged"]], "unread": []}\n' * 3),
    "connect": _connect,
    "read": lambda target: Path(target).read_text(),
    "list": os.listdir,
    "write": lambda target: Path(target).write_text("x"),
    "delete": lambda target: Path(target).unlink(),
    "fork": lambda _: os.fork(),
    "run": lambda _: os.execv("/bin/true", ["true"]),
    "signal": lambda target: os.kill(int(target), 0),
}
