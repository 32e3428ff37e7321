"""How often each source is asked who is in which group: folders every moment, mailboxes and clouds seldom."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from kiban.settings import Settings

FOLDER_SECONDS = 2.0  # of folders that no `[[sources]]` table names


class PeopleTimes:
    """When each source was last asked, kept as the times of files: the next flow run is another process."""

    def __init__(self, settings: Settings) -> None:
        self._kept = settings.state / "sources" / "people"
        self._seconds = {source.name: source.people_seconds for source in settings.sources}
        self._seconds |= {f"directory:{each.name}": each.every_seconds for each in settings.directories}

    def due(self, source: str) -> bool:
        """Tell whether it is time to ask a source again."""
        try:
            asked = self._stamp(source).stat().st_mtime
        except FileNotFoundError:
            return True
        return not 0 <= time.time() - asked < self._seconds.get(source, FOLDER_SECONDS)

    def asked(self, source: str) -> None:
        """Note that a source is being asked now, whether or not it answers."""
        self._kept.mkdir(parents=True, exist_ok=True)
        self._stamp(source).touch()

    def _stamp(self, source: str) -> Path:
        return self._kept / hashlib.sha256(source.encode()).hexdigest()[:32]
