"""The sources of this house: those the settings name, and any folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kiban.backends.sources.folder import FolderSource
from kiban.errors import SettingsError
from kiban.ports import Source
from kiban.settings import Settings
from kiban.wiring.source_kinds import open_source


def open_all(settings: Settings) -> tuple[Source, ...]:
    """Return the folder of the settings, and every other source they name."""
    max_bytes = settings.max_file_mb * 1_000_000
    named = [open_source(each, max_bytes, settings.state / "sources") for each in settings.sources]
    return (folder(settings.documents, max_bytes), *named)


def folder(path: Path, max_bytes: int) -> FolderSource:
    """Return a folder that is named by its path."""
    root = path.resolve()
    return FolderSource(f"folder:{root}", root, max_bytes)


def rules(source: Source) -> str:
    """Return what changes when readers or people do, where that can be told without listing; else ""."""
    return source.rules() if isinstance(source, FolderSource) else ""


def find(name: str, sources: Sequence[Source], max_bytes: int) -> Source:
    """Return the source of that name, or the folder at that path. Raises SettingsError."""
    for source in sources:
        if source.name == name:
            return source
    path = Path(name.removeprefix("folder:"))
    if not path.is_dir():
        known = ", ".join(source.name for source in sources)
        raise SettingsError(f"{name} is neither a folder nor one of the sources: {known}.")
    return folder(path, max_bytes)
