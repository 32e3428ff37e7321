"""What a mail or an archive holds: each file under its name, and those nobody can read named."""

from __future__ import annotations

from collections.abc import Iterable

from kiban.backends.parsers.outline import Outline
from kiban.backends.parsers.reading import Reading
from kiban.errors import DocumentError, HostileFile


def enclose(outline: Outline, members: Iterable[tuple[str, bytes]], reading: Reading) -> None:
    """Read every member into the outline. Raises HostileFile, which condemns what holds it."""
    for name, content in members:
        try:
            outline.enclose(name, reading.member(name, content))
        except HostileFile:
            raise
        except DocumentError as error:
            outline.add(f"読めないもの: {name} ({error})")
