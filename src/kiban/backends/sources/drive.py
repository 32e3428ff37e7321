"""Google Drive's shared drives and folders as a source.

What happened is told by the changes of each shared drive, and of the account for folders elsewhere. A
change of a folder does not name what lies below it: that is listed again. Google's own kinds are exported as
what Office makes of them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from kiban.backends.sources.drive_client import DriveClient, TokenExpired
from kiban.backends.sources.drive_readers import DriveReaders
from kiban.backends.sources.drive_resolver import Resolver
from kiban.backends.sources.drive_tokens import DriveAccount, DriveTokens
from kiban.backends.sources.fetching import write
from kiban.backends.sources.patience import listing
from kiban.domain.document import Listed, Listing, SourceFile

_GOOGLE = "application/vnd.google-apps."
_FOLDER = "application/vnd.google-apps.folder"
_OFFICE = "application/vnd.openxmlformats-officedocument"
_EXPORTED = {
    "application/vnd.google-apps.document": (f"{_OFFICE}.wordprocessingml.document", ".docx"),
    "application/vnd.google-apps.spreadsheet": (f"{_OFFICE}.spreadsheetml.sheet", ".xlsx"),
    "application/vnd.google-apps.presentation": (f"{_OFFICE}.presentationml.presentation", ".pptx"),
}
_FOLDERS_AT_ONCE = 40  # in one query

File = Mapping[str, Any]


class DriveSource:
    """The chosen shared drives (ids), and folders (ids) with all below them.

    `groups` says who is in which group, by address, where the Directory may not be asked.
    """

    def __init__(
        self,
        name: str,
        account: DriveAccount,
        readers: DriveReaders,
        max_bytes: int,
        *,
        drives: Sequence[str] = (),
        folders: Sequence[str] = (),
        groups: Mapping[str, Sequence[str]] | None = None,
        whole_every: float = 86_400.0,
        longest_wait: float = 120.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self._tokens = DriveTokens(account)
        self._readers = readers
        self._max_bytes = max_bytes
        self._drives = tuple(drives)
        self._folders = tuple(folders)
        self._groups = dict(groups or {})
        self._whole_every = whole_every
        self._longest_wait = longest_wait
        self._clock = clock

    def listing(self, cursor: str = "") -> Listing:
        last = _Cursor.read(cursor)
        if last is not None and self._continues(last):
            try:
                return self._changes(last)
            except TokenExpired:
                pass
        after = _Cursor(self._clock(), self._settings())
        return Listing(self._everything(after), cursor=after.write)

    def fetch(self, listed: Listed, folder: Path) -> SourceFile:
        with self._client() as client:
            file = client.file(listed.uri, "id,name,mimeType")
            mime, suffix = _EXPORTED.get(file["mimeType"], ("", ""))
            pieces = client.download(file["id"], mime)
            return write(pieces, listed, folder, file["name"] + suffix, self._max_bytes)

    def memberships(self) -> Mapping[str, frozenset[str]]:
        with listing(), self._client() as client:
            people, groups = self._directory(client)
            ours = {person: {self._readers.of_person(person)} for person in people}
            for group, members in groups.items():
                for person in members & ours.keys():
                    ours[person].add(self._readers.of_group(group))
            for drive in self._drives:
                granted = {name for one in client.permissions(drive) for name in self._readers.granted(one)}
                for is_called in ours.values():
                    if is_called & granted:
                        is_called.add(self._readers.of_drive(drive))
        return {person: frozenset(is_called) for person, is_called in ours.items()}

    def _directory(self, client: DriveClient) -> tuple[set[str], dict[str, set[str]]]:
        """Return people and the people of each group, by address in small letters."""
        if not self._tokens.account.directory:
            groups = {group: {one.lower() for one in members} for group, members in self._groups.items()}
            return set[str]().union(*groups.values()), groups
        people = {person.lower() for person in client.people()}
        return people, {
            group: {member.lower() for member in client.members(group)} for group in list(client.groups())
        }

    def _everything(self, after: _Cursor) -> Iterator[Listed]:
        with listing(), self._client() as client:
            for drive in (*self._drives, *([""] if self._folders else [])):
                after.tokens[drive] = client.now(drive)  # before listing: twice is better than never
            resolve = Resolver(client, self._readers)
            for drive in self._drives:
                for file in client.files(f"trashed = false and mimeType != '{_FOLDER}'", drive):
                    yield from self._listed(file, resolve)
            for below in self._below(client, self._folders):
                yield from self._listed(below, resolve)

    def _below(self, client: DriveClient, folders: Sequence[str], drive: str = "") -> Iterator[File]:
        """Yield the files in some folders and in folders below them."""
        waiting, seen = list(folders), set(folders)
        while waiting:
            some, waiting = waiting[:_FOLDERS_AT_ONCE], waiting[_FOLDERS_AT_ONCE:]
            parents = " or ".join(f"'{folder}' in parents" for folder in some)
            for file in client.files(f"({parents}) and trashed = false", drive):
                if file["mimeType"] != _FOLDER:
                    yield file
                elif file["id"] not in seen:
                    seen.add(file["id"])
                    waiting.append(file["id"])

    def _changes(self, last: _Cursor) -> Listing:
        """Return what happened. Raises TokenExpired when only a whole listing can tell."""
        after = _Cursor(last.whole, last.settings)
        entries: dict[str, Listed] = {}
        gone: list[str] = []
        with listing(), self._client() as client:
            resolve = Resolver(client, self._readers)
            for drive, token in last.tokens.items():
                changes, after.tokens[drive] = client.changes(token, drive)
                latest = {
                    change.get("fileId", ""): change
                    for change in changes
                    if drive or change.get("file", {}).get("driveId") not in self._drives
                }
                found = {id: self._found(change, drive, resolve) for id, change in latest.items()}
                there = [file for file in found.values() if file is not None]
                gone += [id for id, file in found.items() if file is None]
                folders = [str(file["id"]) for file in there if file["mimeType"] == _FOLDER]
                for file in (*there, *self._below(client, folders, drive)):
                    entries.update((one.uri, one) for one in self._listed(file, resolve))
        left = tuple(uri for uri in gone if uri not in entries)
        return Listing(iter(entries.values()), whole=False, gone=left, cursor=after.write)

    def _found(self, change: Mapping[str, Any], drive: str, resolve: Resolver) -> File | None:
        """Return the file or folder of a change; None for a file that is not here, or no longer.

        A folder takes along what lies below it, which has no change of its own: where it stays, that is
        listed again; where it goes, everything is.
        """
        file: File | None = change.get("file")
        if change.get("changeType") == "drive":
            raise TokenExpired
        if change.get("removed") or file is None:
            return None
        here = file.get("driveId") == drive if drive else resolve.is_below(file, self._folders)
        if here and not file.get("trashed"):
            return file
        if file["mimeType"] == _FOLDER:
            raise TokenExpired
        return None

    def _listed(self, file: File, resolve: Resolver) -> Iterator[Listed]:
        """Yield the line for a file, unless it has no content. `version` would count every look at it."""
        mime = file["mimeType"]
        if mime.startswith(_GOOGLE) and mime not in _EXPORTED:
            return
        yield Listed(
            file["id"],
            f"{file.get('md5Checksum') or file['modifiedTime']} {file['name']}",
            int(file.get("size", 0)) if mime not in _EXPORTED else 0,
            resolve.audience(file),
            file.get("webViewLink", ""),
            datetime.fromisoformat(file["modifiedTime"]),
            file["id"],
        )

    def _continues(self, last: _Cursor) -> bool:
        same = last.settings == self._settings()
        return same and last.whole <= self._clock() < last.whole + self._whole_every

    def _settings(self) -> str:
        return json.dumps([self._readers.fingerprint(), sorted(self._drives), sorted(self._folders)])

    def _client(self) -> DriveClient:
        return DriveClient(self._tokens, self._longest_wait)


@dataclass(slots=True)
class _Cursor:
    whole: float  # when we listed everything; seconds since the epoch, by our clock
    settings: str
    tokens: dict[str, str] = field(default_factory=dict)  # by shared drive, "" for the account

    @classmethod
    def read(cls, cursor: str) -> _Cursor | None:
        try:
            whole, settings, tokens = json.loads(cursor)
            return cls(float(whole), settings, dict(tokens))
        except (ValueError, TypeError):
            return None

    def write(self) -> str:
        return json.dumps([self.whole, self.settings, self.tokens])
