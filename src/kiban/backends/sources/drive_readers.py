"""Who may read a file of Google Drive, from its permissions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kiban.backends.sources.fetching import group_name
from kiban.domain.access import Audience

_READING = frozenset(("owner", "organizer", "fileOrganizer", "writer", "commenter", "reader"))


@dataclass(frozen=True, slots=True)
class DriveReaders:
    """What the settings say of readers that Drive does not name: everyone in a domain, and anyone."""

    source: str
    domains: Mapping[str, frozenset[str]] = field(default_factory=dict)  # domain -> groups of ours
    anyone: frozenset[str] = frozenset()

    def audience(
        self, permissions: Iterable[Mapping[str, Any]], drive: str = "", members: frozenset[str] = frozenset()
    ) -> Audience:
        """Return who may read; what is not understood adds nobody.

        Where a file keeps all `members` (ids of permissions) of its shared drive, one group stands for them
        all, so that joining and leaving the drive needs no file to be listed again.
        """
        valid = [permission for permission in permissions if _reads(permission)]
        kept = bool(members) and members <= {permission["id"] for permission in valid}
        groups = {self.of_drive(drive)} if kept else set[str]()
        for permission in valid:
            if not (kept and permission["id"] in members):
                groups |= self.granted(permission)
        return Audience(frozenset(groups))

    def granted(self, permission: Mapping[str, Any]) -> frozenset[str]:
        match permission["type"], permission.get("emailAddress"):
            case "user", str(email):
                return frozenset((self.of_person(email),))
            case "group", str(email):
                return frozenset((self.of_group(email),))
            case "domain", _:
                return self.domains.get(permission.get("domain", "").lower(), frozenset())
            case "anyone", _:
                return self.anyone
            case _:
                return frozenset()

    def of_person(self, email: str) -> str:
        return group_name(self.source, "user", email.lower())

    def of_group(self, email: str) -> str:
        return group_name(self.source, "group", email.lower())

    def of_drive(self, drive: str) -> str:
        return group_name(self.source, "drive", drive)

    def fingerprint(self) -> str:
        """Return what changes when the settings do: then everything has to be listed again."""
        said = (self.source, sorted(self.anyone), sorted((k, sorted(v)) for k, v in self.domains.items()))
        return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


def _reads(permission: Mapping[str, Any]) -> bool:
    """Tell whether a permission opens the content today. One with a `view` opens something else: the
    metadata of a folder with limited access, or what is published."""
    until = permission.get("expirationTime") or "9999-12-31T00:00:00Z"
    return (
        permission["role"] in _READING
        and not permission.get("deleted")
        and not permission.get("view")
        and datetime.fromisoformat(until) > datetime.now(UTC)
    )
