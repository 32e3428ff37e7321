"""One file being read, with all that is packed inside it: how deep, how much, and how many pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from kiban.domain.document import ParsedDocument
from kiban.errors import HostileFile

if TYPE_CHECKING:  # a second to import, and most files have no pictures of text
    from kiban.backends.parsers.ocr import Picture, Recogniser

MOST_DEPTH = 4  # a mail in a mail, with an archive of archives
MOST_MEMBERS = 2_000
MOST_BYTES = 500 * 2**20  # of all members together


@dataclass(slots=True)
class Reading:
    """Handed to parsers of what holds other files or pictures. `read` leads back to dispatch."""

    read: Callable[[str, bytes, Reading], ParsedDocument]
    pictures: int = 0  # that may still be read
    _depth: int = 0
    _members: int = 0
    _bytes: int = 0

    def member(self, name: str, content: bytes) -> ParsedDocument:
        """Return what a file within this one says. Raises a DocumentError, HostileFile without end."""
        self._members += 1
        self._bytes += len(content)
        if self._depth >= MOST_DEPTH:
            raise HostileFile(f"files within files, more than {MOST_DEPTH} deep")
        if self._members > MOST_MEMBERS or self._bytes > MOST_BYTES:
            raise HostileFile(f"more than {MOST_MEMBERS:,} files or {MOST_BYTES:,} bytes within it")
        self._depth += 1
        try:
            return self.read(name, content, self)
        finally:
            self._depth -= 1

    def lines(self, draw: Callable[[], Picture]) -> list[str] | None:
        """Return the lines of text in a picture; None when no more pictures may be read."""
        if self.pictures < 1:
            return None
        self.pictures -= 1
        return _recogniser().lines(draw())


@cache
def _recogniser() -> Recogniser:
    """Return the one of this process: its models take a second to load."""
    from kiban.backends.parsers.ocr import Recogniser

    return Recogniser()
