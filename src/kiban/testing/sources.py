"""A source in memory, and parsers that know what each file says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from kiban.domain.access import Audience
from kiban.domain.document import (
    ParsedDocument,
    Place,
    Section,
    SourceFile,
)
from kiban.errors import (
    DocumentError,
)


class MemorySource:
    """A Source in a dict: what each uri says, and who may read it."""

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.people: dict[str, frozenset[str]] = {}
        self._files: dict[str, SourceFile] = {}

    def write(self, uri: str, content: str, *readers: str) -> SourceFile:
        path, audience = Path("/nowhere", uri), Audience(frozenset(readers))
        sha256 = hashlib.sha256(content.encode()).hexdigest()
        self._files[uri] = SourceFile(uri, path, len(content.encode()), sha256, audience)
        return self._files[uri]

    def remove(self, uri: str) -> None:
        del self._files[uri]

    def files(self) -> Iterator[SourceFile]:
        yield from self._files.values()

    def memberships(self) -> Mapping[str, frozenset[str]]:
        return dict(self.people)


class MemoryParser:
    """A Parser that knows what each file says, or why it cannot be read."""

    def __init__(self, says: Mapping[str, str | DocumentError] | None = None) -> None:
        self.says = dict(says or {})
        self.parsed: list[str] = []

    def parse(self, file: SourceFile) -> ParsedDocument:
        self.parsed.append(file.uri)
        said = self.says[file.uri]
        if isinstance(said, DocumentError):
            raise said
        return ParsedDocument(Path(file.uri).stem, (Section(said, Place()),) if said else ())
