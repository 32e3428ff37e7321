"""From what the settings say of a source to the source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import assert_never

from kiban.backends.sources.folder import FolderSource
from kiban.errors import SettingsError
from kiban.ports import Source
from kiban.settings import Settings
from kiban.source_settings import FolderSettings, SourceSettings


def open_source(settings: SourceSettings, max_bytes: int) -> Source:
    """Return the source; nothing is connected to before it is asked for something."""
    match settings:
        case FolderSettings():
            return FolderSource(settings.name, settings.path, max_bytes)
        case _:
            assert_never(settings)


def open_all(settings: Settings) -> tuple[Source, ...]:
    """Return the folder of the settings, and every other source they name."""
    max_bytes = settings.max_file_mb * 1_000_000
    named = [open_source(each, max_bytes) for each in settings.sources]
    return (folder(settings.documents, max_bytes), *named)


def folder(path: Path, max_bytes: int) -> FolderSource:
    """Return a folder that is named by its path."""
    root = path.resolve()
    return FolderSource(f"folder:{root}", root, max_bytes)


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
