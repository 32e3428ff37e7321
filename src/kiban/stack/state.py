"""The state folder: claimed by a marker before it is used, removed only with the marker in it."""

from __future__ import annotations

import shutil
from pathlib import Path

from kiban.errors import SettingsError
from kiban.settings import Settings
from kiban.stack import databases

MARKER = "kiban-state"
# What commands and tests may have put there before the stack first starts.
EARLY = {"models", "cache", "config", "logs", "prefect", "postgres", "candidates", "identity"}


def claim(state: Path) -> None:
    """Mark the folder as ours. Raises SettingsError if it holds what somebody else put there."""
    marker = state / MARKER
    if marker.exists():
        return
    foreign = sorted({path.name for path in state.iterdir()} - EARLY) if state.exists() else []
    if foreign:
        raise SettingsError(
            f"state: {state} already holds other things ({', '.join(foreign[:3])}).",
            mend="set KIBAN_STATE to an empty folder, or to one that does not exist yet",
        )
    state.mkdir(parents=True, exist_ok=True)
    marker.write_text("Everything in this folder belongs to Kiban; `make clean` removes it.\n")


def remove(settings: Settings) -> bool:
    """Remove everything Kiban kept, and return whether there was anything. Raises SettingsError."""
    if not settings.state.exists():
        return False
    if not (settings.state / MARKER).exists():
        raise SettingsError(
            f"state: {settings.state} bears no mark of ours, so it is not removed.",
            mend="look into it, and remove it by hand if it is Kiban's",
        )
    databases.embedded(settings).wipe()
    shutil.rmtree(settings.state)
    return True
