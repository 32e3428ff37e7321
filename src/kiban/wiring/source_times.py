"""How often each source is ingested, and how long it may take, by the settings."""

from __future__ import annotations

from datetime import timedelta

from kiban.settings import Settings
from kiban.source_settings import FolderSettings


class SourceTimes:
    """The times of every source; folders that no `[[sources]]` table names have the usual ones."""

    def __init__(self, settings: Settings) -> None:
        self._sources = {source.name: source for source in settings.sources}

    @property
    def schedules(self) -> dict[str, timedelta]:
        """Return how often each source with a schedule of its own is ingested."""
        return {
            name: timedelta(minutes=source.every_minutes)
            for name, source in self._sources.items()
            if source.every_minutes is not None
        }

    def listing(self, name: str) -> float:
        """Return the seconds within which a source is listed when it is ingested."""
        return 60 * self._of(name, "listing_minutes")

    def look(self, name: str) -> float:
        """Return the seconds within which readers and deletions are followed in between."""
        return self._of(name, "look_seconds")

    def _of(self, name: str, field: str) -> float:
        usual: float = FolderSettings.model_fields[field].default
        return float(getattr(self._sources.get(name), field, usual))
