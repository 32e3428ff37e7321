"""Sources in memory, and parsers that know what each file says."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event

from kiban.domain.access import Audience
from kiban.domain.document import (
    Listed,
    Listing,
    ParsedDocument,
    Place,
    Section,
    SourceFile,
)
from kiban.errors import (
    DocumentError,
    GoneMeanwhile,
)


class MemorySource:
    """A Source in a dict: what each uri says, and who may read it. Its cursor counts what it was told."""

    def __init__(self, name: str = "memory", *, deltas: bool = False) -> None:
        self.name = name
        self.people: dict[str, frozenset[str]] = {}
        self.fetched: list[str] = []
        self._deltas = deltas  # does it say what happened since a cursor, or always all?
        self._files: dict[str, tuple[Listed, bytes]] = {}
        self._told: list[str] = []  # uris in the order in which something happened to them

    def write(self, uri: str, content: str | bytes, *readers: str, identity: str = "") -> Listed:
        """Put a document there; its tag is its content's hash."""
        data = content.encode() if isinstance(content, str) else content
        tag = hashlib.sha256(data).hexdigest()
        listed = Listed(uri, tag, len(data), Audience(frozenset(readers)), identity=identity)
        self._files[uri] = (listed, data)
        self._told.append(uri)
        return listed

    def touch(self, uri: str, tag: str) -> None:
        """Change the tag, not the content."""
        listed, data = self._files[uri]
        self._files[uri] = (replace(listed, tag=tag), data)
        self._told.append(uri)

    def rename(self, uri: str, new: str) -> None:
        listed, data = self._files.pop(uri)
        self._files[new] = (replace(listed, uri=new), data)
        self._told += [uri, new]

    def remove(self, uri: str) -> None:
        del self._files[uri]
        self._told.append(uri)

    def listing(self, cursor: str = "") -> Listing:
        now = str(len(self._told))
        if not (self._deltas and cursor):
            return Listing([listed for listed, _ in self._files.values()], cursor=lambda: now)
        told = dict.fromkeys(self._told[int(cursor) :])
        return Listing(
            [self._files[uri][0] for uri in told if uri in self._files],
            whole=False,
            gone=tuple(uri for uri in told if uri not in self._files),
            cursor=lambda: now,
        )

    def fetch(self, listed: Listed, folder: Path) -> SourceFile:
        if listed.uri not in self._files:
            raise GoneMeanwhile(listed.uri)
        self.fetched.append(listed.uri)
        _, data = self._files[listed.uri]
        sha256 = hashlib.sha256(data).hexdigest()
        path = folder / sha256
        path.write_bytes(data)
        return listed.fetched(path, len(data), sha256)

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


class HangingSource(MemorySource):
    """A place that takes every question and answers none."""

    def __init__(self, name: str = "hanging") -> None:
        super().__init__(name)
        self.asked = Event()

    def memberships(self) -> Mapping[str, frozenset[str]]:
        self.asked.set()
        Event().wait()
        return super().memberships()
