"""From what the settings say of a source to the source."""

from __future__ import annotations

from typing import assert_never

from kiban.backends.sources.folder import FolderSource
from kiban.ports import Source
from kiban.source_settings import FolderSettings, SourceSettings


def open_source(settings: SourceSettings, max_bytes: int) -> Source:
    """Return the source; nothing is connected to before it is asked for something."""
    match settings:
        case FolderSettings():
            return FolderSource(settings.name, settings.path, max_bytes)
        case _:
            assert_never(settings)
