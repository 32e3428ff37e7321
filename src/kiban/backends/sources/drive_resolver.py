"""What a line of Google Drive does not say of itself: its readers, and the folders above it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kiban.backends.sources.drive_client import DriveClient
from kiban.backends.sources.drive_readers import DriveReaders
from kiban.domain.access import NOBODY, Audience
from kiban.errors import GoneMeanwhile, SourceRefused

File = Mapping[str, Any]


class Resolver:
    """Asks for each only once a listing."""

    def __init__(self, client: DriveClient, readers: DriveReaders) -> None:
        self._client = client
        self._readers = readers
        self._audiences: dict[tuple[str, ...], Audience] = {}
        self._members: dict[str, frozenset[str]] = {}
        self._parents: dict[str, tuple[str, ...]] = {}

    def audience(self, file: File) -> Audience:
        """Return who may read a file. Shared drives do not tell with the file: files of one folder with
        the same ids of permissions share an answer."""
        drive = file.get("driveId", "")
        if not drive and "permissions" in file:
            return self._readers.audience(file["permissions"])
        ids = file.get("permissionIds")
        key = (*file.get("parents", ()), "", *sorted(ids)) if ids else ("", file["id"])
        if key not in self._audiences:
            self._audiences[key] = self._asked(file["id"], drive)
        return self._audiences[key]

    def is_below(self, file: File, folders: Sequence[str]) -> bool:
        """Tell whether a file lies in one of some folders, however deep."""
        waiting, seen = list(file.get("parents", ())), set[str]()
        while waiting:
            parent = waiting.pop()
            if parent in folders:
                return True
            if parent not in seen:
                seen.add(parent)
                waiting += self._above(parent)
        return False

    def _asked(self, file: str, drive: str) -> Audience:
        try:
            permissions = self._client.permissions(file)
            return self._readers.audience(permissions, drive, self._of_drive(drive))
        except (SourceRefused, GoneMeanwhile):
            return NOBODY  # it will not say who reads

    def _of_drive(self, drive: str) -> frozenset[str]:
        if drive and drive not in self._members:
            self._members[drive] = frozenset(one["id"] for one in self._client.permissions(drive))
        return self._members.get(drive, frozenset())

    def _above(self, folder: str) -> tuple[str, ...]:
        if folder not in self._parents:
            try:
                self._parents[folder] = tuple(self._client.file(folder, "id,parents").get("parents", ()))
            except (SourceRefused, GoneMeanwhile):
                self._parents[folder] = ()
        return self._parents[folder]
