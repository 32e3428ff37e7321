"""Real places with real servers, each filled in the same words, for test_sources.py.

A name is FOLDER/TITLE; readers belong to folders. What a place calls it is for `uri` to say.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from kiban.ports import Source


class Place(Protocol):
    keeps_versions: bool  # what was listed can be fetched for ever, as from Git
    changes_in_place: bool  # a thing keeps its uri when its content changes; a letter never changes

    def audience(self, *groups: str) -> set[str]:
        """Return what ingest calls the readers that a place was given."""
        ...

    def readers(self, folder: str, *groups: str) -> None:
        """Say who may read what is in a folder; call it before `write` and whenever it changes."""
        ...

    def write(self, name: str, text: str) -> None: ...

    def remove(self, name: str) -> None: ...

    def uri(self, name: str) -> str: ...

    def source(self, kept: Path, max_bytes: int = 100_000) -> Source:
        """Return a new source, as a new process would have it."""
        ...

    def unreachable(self, kept: Path) -> Source:
        """Return a source whose place does not answer."""
        ...


class PlainGroups:
    """Groups that ingest calls what the place calls them."""

    def audience(self, *groups: str) -> set[str]:
        return set(groups)
