"""A Slack workspace as a source, through its Web API.

Slack tells no changes. A delta lists the last days again, where it sees what was said, edited and deleted,
and replies of the last two days edited; older days are seen by the whole listing. It is whole as well when
a channel became private, or is no longer seen.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path

from kiban.backends.sources.fetching import write
from kiban.backends.sources.patience import listing
from kiban.backends.sources.slack_client import SlackClient
from kiban.backends.sources.slack_days import Message, bounds, by_day, day_html, messages_of, tag, time_of
from kiban.backends.sources.slack_readers import Conversation, Person, memberships
from kiban.domain.document import Listed, Listing, SourceFile
from kiban.errors import GoneMeanwhile

_RECENT = 2  # days in which replies are looked at for edits, one request a thread


class SlackSource:
    """The channels the app is in and the settings choose; direct messages only if they say so.

    `since` is the first day that is listed.
    """

    def __init__(
        self,
        name: str,
        token: str,
        max_bytes: int,
        *,
        channels: Sequence[str] = (),
        direct_messages: bool = False,
        since: date = date(2000, 1, 1),
        zone: tzinfo = UTC,
        lookback_days: int = 7,
        whole_every: float = 86_400.0,
        longest_wait: float = 120.0,
        url: str = "https://slack.com/api",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self._client = SlackClient(token, url, longest_wait)
        self._max_bytes = max_bytes
        self._channels = frozenset(channels)
        self._types = "public_channel,private_channel" + (",mpim,im" if direct_messages else "")
        self._since = since
        self._zone = zone
        self._lookback = max(lookback_days, _RECENT)
        self._whole_every = whole_every
        self._clock = clock
        self._people: dict[str, Person] = {}

    def listing(self, cursor: str = "") -> Listing:
        now, last = self._clock(), _Cursor.read(cursor)
        today = datetime.fromtimestamp(now, self._zone).date()
        _, address = self._client.workspace()
        seen = {one.id: one for one in self._conversations()}
        kinds = {id: one.public for id, one in seen.items()}
        if last is not None and last.whole <= now < last.whole + self._whole_every:
            if last.settings == self._settings() and last.channels.items() <= kinds.items():
                first = max(self._since, today - timedelta(days=self._lookback))
                begins = {id: first if id in last.channels else self._since for id in seen}
                entries = list(self._days(seen, begins, today, address))
                there = {entry.uri for entry in entries}
                days = [first + timedelta(days=n) for n in range((today - first).days + 1)]
                gone = tuple(uri for id in seen for day in days if (uri := _uri(id, day)) not in there)
                after = _Cursor(last.whole, last.settings, kinds)
                return Listing(iter(entries), whole=False, gone=gone, cursor=after.write)
        begins = dict.fromkeys(seen, self._since)
        return Listing(
            self._days(seen, begins, today, address), cursor=_Cursor(now, self._settings(), kinds).write
        )

    def fetch(self, listed: Listed, folder: Path) -> SourceFile:
        channel, _, day = listed.uri.partition("/")
        begin, end = bounds(date.fromisoformat(day), self._zone)
        said = messages_of(self._client.history(channel, begin, end))
        messages = [self._with_replies(channel, message) for message in said if not message.is_reply]
        if not messages:
            raise GoneMeanwhile(listed.uri)
        channels = {one.id: one.name for one in self._conversations()}
        names = {id: person.name for id, person in self._known_people().items()}
        title = f"#{channels.get(channel, channel)} {day}"
        page = day_html(title, messages, self._zone, names, channels)
        return write([page.encode()], listed, folder, f"{title}.html", self._max_bytes)

    def memberships(self) -> Mapping[str, frozenset[str]]:
        self._people = {}
        people = self._known_people().values()
        with listing():
            members = {one.id: frozenset(self._client.members(one.id)) for one in self._conversations()}
        return memberships(self.name, people, members)

    def _settings(self) -> str:
        return f"{self._since} {self._zone}"  # days are others when these are

    def _conversations(self) -> list[Conversation]:
        """Return what the app is in and the settings choose; nothing else is ever asked for."""
        found = [
            Conversation(raw["id"], raw.get("name") or raw["id"], public=_is_public(raw))
            for raw in self._client.conversations(self._types)
            if raw.get("is_member") or raw.get("is_im") or raw.get("is_mpim")
        ]
        return [one for one in found if one.is_chosen(self._channels)]

    def _days(
        self, seen: Mapping[str, Conversation], begins: Mapping[str, date], today: date, address: str
    ) -> Iterator[Listed]:
        recent = today - timedelta(days=_RECENT - 1)
        for id, conversation in seen.items():
            begin, _ = bounds(begins[id], self._zone)
            with listing():
                days = by_day(messages_of(self._client.history(id, begin)), self._zone)
            audience = conversation.audience(self.name)
            for day, messages in days.items():
                if day >= recent:
                    messages = [self._with_replies(id, message) for message in messages]
                url = f"{address.rstrip('/')}/archives/{id}/p{messages[0].ts.replace('.', '')}"
                modified = time_of(messages[-1].ts, UTC)
                yield Listed(_uri(id, day), tag(messages), 0, audience, url, modified, _uri(id, day))

    def _with_replies(self, channel: str, message: Message) -> Message:
        if not message.has_replies:
            return message
        try:
            thread = messages_of(self._client.replies(channel, message.ts))
        except GoneMeanwhile:  # deleted since
            return message
        return replace(message, replies=tuple(reply for reply in thread if reply.is_reply))

    def _known_people(self) -> dict[str, Person]:
        if not self._people:
            team, _ = self._client.workspace()
            people = (Person.read(raw, team) for raw in self._client.users())
            self._people = {person.id: person for person in people}
        return self._people


@dataclass(frozen=True, slots=True)
class _Cursor:
    whole: float  # when everything was listed; seconds since the epoch
    settings: str
    channels: dict[str, bool]  # id -> whether it was public

    @classmethod
    def read(cls, cursor: str) -> _Cursor | None:
        try:
            whole, settings, channels = json.loads(cursor)
            return cls(float(whole), settings, dict(channels))
        except (ValueError, TypeError):
            return None

    def write(self) -> str:
        return json.dumps([self.whole, self.settings, self.channels])


def _is_public(raw: Mapping[str, object]) -> bool:
    return bool(raw.get("is_channel")) and not raw.get("is_private") and not raw.get("is_mpim")


def _uri(channel: str, day: date) -> str:
    return f"{channel}/{day.isoformat()}"
