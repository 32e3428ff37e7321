"""What a source on Microsoft Graph remembers between two listings."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field

_HASH = 6  # bytes


@dataclass(slots=True)
class DriveState:
    """Where the delta of a drive goes on, and who could read each of its folders: twelve bytes a folder."""

    link: str = ""
    folders: dict[bytes, bytes] = field(default_factory=dict)  # hash of the id -> hash of the readers

    def note(self, folder: str, groups: frozenset[str]) -> bool:
        """Remember who may read a folder; tell whether that is news."""
        key, value = _hash(folder), _hash(*sorted(groups))
        before, self.folders[key] = self.folders.get(key), value
        return before != value


@dataclass(slots=True)
class GraphCursor:
    whole: float  # when everything was listed; seconds since the epoch
    settings: str  # fingerprint of what the readers depend on
    drives: dict[str, DriveState] = field(default_factory=dict)

    @classmethod
    def read(cls, cursor: str) -> GraphCursor | None:
        """Return None for what no `write` has written."""
        try:
            whole, settings, drives = json.loads(cursor)
            kept = {id: DriveState(link, _unpacked(folders)) for id, (link, folders) in drives.items()}
            return cls(float(whole), settings, kept)
        except (ValueError, TypeError, AttributeError):
            return None

    def write(self) -> str:
        drives = {id: [drive.link, _packed(drive.folders)] for id, drive in self.drives.items()}
        return json.dumps([self.whole, self.settings, drives])


def _packed(folders: dict[bytes, bytes]) -> str:
    return base64.b85encode(b"".join(key + value for key, value in folders.items())).decode()


def _unpacked(text: str) -> dict[bytes, bytes]:
    raw = base64.b85decode(text)
    pairs = (raw[start : start + 2 * _HASH] for start in range(0, len(raw), 2 * _HASH))
    return {pair[:_HASH]: pair[_HASH:] for pair in pairs}


def _hash(*texts: str) -> bytes:
    return hashlib.sha256("\0".join(texts).encode()).digest()[:_HASH]
