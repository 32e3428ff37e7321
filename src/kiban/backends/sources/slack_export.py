"""The zip that Slack exports, as a source."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, tzinfo
from pathlib import Path, PurePosixPath
from typing import Any

from kiban.backends.sources.fetching import write
from kiban.backends.sources.slack_days import Message, by_day, day_html, messages_of, tag, threaded, time_of
from kiban.backends.sources.slack_readers import Conversation, Person, memberships
from kiban.domain.document import Listed, Listing, SourceFile
from kiban.errors import GoneMeanwhile, SourceRefused

_LISTS = {"channels.json": True, "groups.json": False}  # -> whether these are public
_DIRECT = ("mpims.json", "dms.json")
_LARGEST = 200_000_000  # bytes of one file in the zip, unpacked


class SlackExportSource:
    """One export. It is listed whole when another file lies there, and is otherwise unchanged."""

    def __init__(
        self,
        name: str,
        path: Path,
        max_bytes: int,
        *,
        channels: Sequence[str] = (),
        direct_messages: bool = False,
        since: date = date(2000, 1, 1),
        zone: tzinfo = UTC,
        address: str = "",
    ) -> None:
        self.name = name
        self._path = path
        self._max_bytes = max_bytes
        self._channels = frozenset(channels)
        self._direct_messages = direct_messages
        self._since = since
        self._zone = zone
        self._address = address.rstrip("/")
        self._read: tuple[str, str, dict[date, list[Message]]] = ("", "", {})  # the conversation read last

    def listing(self, cursor: str = "") -> Listing:
        stamp = self._stamp()
        if cursor == stamp:
            return Listing(iter(()), whole=False, cursor=lambda: stamp)
        return Listing(self._entries(), cursor=lambda: stamp)

    def fetch(self, listed: Listed, folder: Path) -> SourceFile:
        id, _, day = listed.uri.partition("/")
        with self._open() as export:
            conversations = {one.id: one for one, _ in self._conversations(export)}
            if id not in conversations:
                raise GoneMeanwhile(listed.uri)
            messages = self._days(export, conversations[id]).get(date.fromisoformat(day))
            if not messages:
                raise GoneMeanwhile(listed.uri)
            names = {person.id: person.name for person in self._people(export)}
        channels = {id: one.name for id, one in conversations.items()}
        title = f"#{channels[id]} {day}"
        page = day_html(title, messages, self._zone, names, channels)
        return write([page.encode()], listed, folder, f"{title}.html", self._max_bytes)

    def memberships(self) -> Mapping[str, frozenset[str]]:
        with self._open() as export:
            members = {one.id: inside for one, inside in self._conversations(export)}
            return memberships(self.name, self._people(export), members)

    def _entries(self) -> Iterator[Listed]:
        with self._open() as export:
            for conversation, _ in self._conversations(export):
                audience = conversation.audience(self.name)
                for day, messages in self._days(export, conversation).items():
                    uri = f"{conversation.id}/{day.isoformat()}"
                    first = messages[0].ts.replace(".", "")
                    url = f"{self._address}/archives/{conversation.id}/p{first}" if self._address else ""
                    modified = time_of(messages[-1].ts, UTC)
                    yield Listed(uri, tag(messages), 0, audience, url, modified, uri)

    def _conversations(self, export: zipfile.ZipFile) -> Iterator[tuple[Conversation, frozenset[str]]]:
        """Yield the chosen conversations, with the ids of their members."""
        lists = {**_LISTS, **(dict.fromkeys(_DIRECT, False) if self._direct_messages else {})}
        for file, public in lists.items():
            for raw in _json(export, file, []):
                conversation = Conversation(raw["id"], raw.get("name") or raw["id"], public)
                if conversation.is_chosen(self._channels):
                    yield conversation, frozenset(raw.get("members", ()))

    def _days(self, export: zipfile.ZipFile, conversation: Conversation) -> dict[date, list[Message]]:
        """Return a conversation by day, threads together wherever their replies were written."""
        stamp = self._stamp()
        if self._read[:2] != (conversation.id, stamp):
            raws: list[Mapping[str, Any]] = []
            for file in export.namelist():
                path = PurePosixPath(file)
                if path.parent.name in (conversation.name, conversation.id) and path.suffix == ".json":
                    raws += _json(export, file, [])
            days = by_day(threaded(messages_of(raws)), self._zone)
            kept = {day: messages for day, messages in days.items() if day >= self._since}
            self._read = (conversation.id, stamp, kept)
        return self._read[2]

    def _people(self, export: zipfile.ZipFile) -> list[Person]:
        raws = _json(export, "users.json", [])
        teams = Counter(raw.get("team_id", "") for raw in raws)  # people of other workspaces are the fewer
        return [Person.read(raw, teams.most_common(1)[0][0]) for raw in raws]

    def _open(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self._path)
        except (OSError, zipfile.BadZipFile) as error:
            raise SourceRefused(f"{self._path} is no export of Slack: {error}") from error

    def _stamp(self) -> str:
        """Return what is another text when another file lies there, or other settings choose from it."""
        try:
            status = self._path.stat()
        except OSError as error:
            raise SourceRefused(f"{self._path} cannot be read: {error.strerror}") from error
        chosen = repr((sorted(self._channels), self._direct_messages, self._since, str(self._zone)))
        return f"{status.st_size} {status.st_mtime_ns} {hashlib.sha256(chosen.encode()).hexdigest()[:16]}"


def _json(export: zipfile.ZipFile, file: str, otherwise: Any) -> Any:
    """Return what a file in the zip says. Raises SourceRefused for one that is broken or far too large."""
    try:
        if export.getinfo(file).file_size > _LARGEST:
            raise SourceRefused(f"{file} in the export is larger than {_LARGEST} bytes")
        return json.loads(export.read(file))
    except KeyError:
        return otherwise
    except (ValueError, zipfile.BadZipFile) as error:
        raise SourceRefused(f"{file} in the export cannot be read: {error}") from error
