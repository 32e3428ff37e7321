"""The worker's side of the jail: confined before it imports a parser, it reads what it is handed.

A request is a word and a name in JSON with the open file it speaks of: a worker needs no path, and could
open none. A reply is a line: the same word, and JSON. Both go over one socket, and each request waits for the
reply to the one before.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import socket
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator

from kiban.backends.parsers.confinement import confine
from kiban.domain.document import ParsedDocument, Picture, Place
from kiban.errors import DocumentError, HostileFile, OversizeFile

# Name, content, how many pictures it may read, how many it gives back made small.
Parse = Callable[[str, bytes, int, int], ParsedDocument]

_LONGEST_REQUEST = 2**16  # bytes


def main() -> None:
    """Answer requests until the parent goes away."""
    function, limits = sys.argv[1], json.loads(sys.argv[2])
    parent = socket.socket(fileno=0)
    lines = confine(limits["memory_bytes"], threads=limits["pictures"] > 0)
    module, name = function.split(":")
    parse: Parse = getattr(importlib.import_module(module), name)
    _answer(parent, json.dumps(lines).encode() + b"\n")
    for word, asked_for, descriptor in _requests(parent):
        _limit_cpu(limits["cpu_seconds"])
        _answer(parent, word.encode() + _reply(parse, asked_for, descriptor, limits))


def _requests(parent: socket.socket) -> Iterator[tuple[str, str, int]]:
    """Yield the word, name and descriptor of each file. A request is short, so it comes in one piece."""
    while True:
        request, descriptors, _, _ = socket.recv_fds(parent, _LONGEST_REQUEST, 1)
        if not request:
            return
        word, name = json.loads(request)
        yield word, name, descriptors[0]


def _limit_cpu(seconds: float) -> None:
    """Allow as much CPU time from now on; the kernel counts the whole life of a process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _reply(parse: Parse, name: str, descriptor: int, limits: dict[str, int]) -> bytes:
    try:
        document = parse(
            name, _content(descriptor, limits["file_bytes"]), limits["pictures"], limits["thumbnails"]
        )
        if sum(len(section.text) for section in document.sections) > limits["text_bytes"]:
            raise HostileFile(f"more than {limits['text_bytes']:,} characters of text")
    except DocumentError as error:
        return json.dumps({"error": type(error).__name__, "detail": error.detail}).encode() + b"\n"
    told = {
        "title": document.title,
        "sections": [(section.text, *_fields(section.place)) for section in document.sections],
        "unread": [_fields(place) for place in document.unread],
        "pictures": [_sent(picture) for picture in document.pictures],
    }
    return json.dumps(told, ensure_ascii=False).encode() + b"\n"


def _content(descriptor: int, most: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OversizeFile(f"more than {most:,} bytes")
    return content


def _fields(place: Place) -> tuple[int | None, str | None, int | None, str, str]:
    return place.page, place.sheet, place.slide, place.heading, place.anchor


def _sent(picture: Picture) -> tuple[int, int, int, str, str]:
    return picture.at, picture.width, picture.height, b64encode(picture.rgb).decode(), picture.caption


def _answer(parent: socket.socket, reply: bytes) -> None:
    """Write to the socket as to a file: sending is refused, since one could send to elsewhere."""
    rest = memoryview(reply)
    while rest:
        rest = rest[os.write(parent.fileno(), rest) :]


if __name__ == "__main__":
    main()
