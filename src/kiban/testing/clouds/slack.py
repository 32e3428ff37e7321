"""A Slack workspace's Web API, and the zip it exports, as far as conversations, messages and people.

After the documentation of the Web API's methods, its pagination and rate limits, and of exports.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kiban.testing.clouds.server import CloudServer, Request, Response

TOKEN, TEAM = "xoxb-of-nobody", "T1"


@dataclass
class Channel:
    id: str
    name: str
    private: bool = False
    direct: bool = False
    members: list[str] = field(default_factory=list)
    seen: bool = True  # whether the app is in it
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)  # by ts, replies among them

    def say(self, ts: float, user: str, text: str, thread: float | None = None, **more: Any) -> str:
        name = f"{ts:.6f}"
        reply = {} if thread is None else {"thread_ts": f"{thread:.6f}"}
        self.messages[name] = {"type": "message", "ts": name, "user": user, "text": text, **reply, **more}
        return name

    def edit(self, ts: str, text: str, when: float) -> None:
        self.messages[ts] |= {"text": text, "edited": {"user": "U", "ts": f"{when:.6f}"}}

    def replies_to(self, ts: str) -> list[dict[str, Any]]:
        return [one for one in self.messages.values() if one.get("thread_ts") == ts and one["ts"] != ts]

    def shown(self, message: dict[str, Any]) -> dict[str, Any]:
        if not (replies := self.replies_to(message["ts"])):
            return message
        latest = max(reply["ts"] for reply in replies)
        return {**message, "thread_ts": message["ts"], "reply_count": len(replies), "latest_reply": latest}


class SlackServer(CloudServer):
    def __init__(self, page_size: int = 200) -> None:
        super().__init__()
        self.page_size = page_size
        self.channels: dict[str, Channel] = {}
        self.users: list[dict[str, Any]] = []
        self.error = ""  # what every method answers, if not ""

    def user(self, id: str, name: str, **more: Any) -> None:
        profile = {"display_name": name, "email": f"{name}@example.com"}
        self.users.append({"id": id, "team_id": TEAM, "name": name, "profile": profile, **more})

    def busy(self) -> Response:
        return Response(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": self.retry_after})

    def answer(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return _refused("invalid_auth")
        if self.error:
            return _refused(self.error)
        method = request.path.removeprefix("/api/")
        query = {**request.query, **request.form()}  # Slack takes either
        if method == "auth.test":
            return Response(body={"ok": True, "team_id": TEAM, "url": "https://acme.slack.example/"})
        if method == "users.list":
            return self._page(query, "members", self.users)
        if method == "conversations.list":
            kinds = query["types"].split(",")
            return self._page(
                query, "channels", [_listed(one) for one in self.channels.values() if _kind(one) in kinds]
            )
        channel = self.channels.get(query.get("channel", ""))
        if channel is None:
            return _refused("channel_not_found")
        return self._of(channel, method, query)

    def _of(self, channel: Channel, method: str, query: dict[str, str]) -> Response:
        if method == "conversations.members":
            return self._page(query, "members", channel.members)
        if not channel.seen:
            return _refused("not_in_channel")
        if method == "conversations.replies":
            parent = channel.messages.get(query["ts"])
            thread = channel.replies_to(query["ts"])
            return (
                self._page(query, "messages", [channel.shown(parent), *thread])
                if parent
                else _refused("thread_not_found")
            )
        oldest, latest = float(query.get("oldest", 0)), float(query.get("latest", "inf"))
        found = [
            channel.shown(one)
            for ts, one in sorted(channel.messages.items(), reverse=True)
            if oldest <= float(ts) <= latest
            and (one.get("thread_ts", ts) == ts or one.get("subtype") == "thread_broadcast")
        ]
        return self._page(query, "messages", found)

    def _page(self, query: dict[str, str], name: str, listed: list[Any]) -> Response:
        start = int(query.get("cursor") or 0)
        limit = min(int(query.get("limit", 100)), self.page_size)
        cursor = str(start + limit) if start + limit < len(listed) else ""
        part = listed[start : start + limit]
        return Response(body={"ok": True, name: part, "response_metadata": {"next_cursor": cursor}})

    def export(self, path: Path) -> Path:
        """Write what an export of all conversations would be."""
        lists: dict[str, list[Channel]] = {"channels.json": [], "groups.json": [], "dms.json": []}
        for channel in self.channels.values():
            lists[
                "dms.json" if channel.direct else "groups.json" if channel.private else "channels.json"
            ].append(channel)
        with zipfile.ZipFile(path, "w") as export:
            export.writestr("users.json", json.dumps(self.users))
            for file, channels in lists.items():
                export.writestr(file, json.dumps([_exported(channel) for channel in channels]))
            for channel in self.channels.values():
                for day, messages in _by_day(channel).items():
                    folder = channel.id if channel.direct else channel.name
                    export.writestr(f"{folder}/{day}.json", json.dumps(messages))
        return path


def _kind(channel: Channel) -> str:
    return "im" if channel.direct else "private_channel" if channel.private else "public_channel"


def _listed(channel: Channel) -> dict[str, Any]:
    if channel.direct:
        return {"id": channel.id, "is_im": True, "user": channel.members[0]}
    kinds = {"is_channel": True, "is_private": channel.private, "is_member": channel.seen}
    return {"id": channel.id, "name": channel.name, **kinds}


def _exported(channel: Channel) -> dict[str, Any]:
    name = {} if channel.direct else {"name": channel.name}
    return {"id": channel.id, **name, "members": channel.members}


def _by_day(channel: Channel) -> dict[str, list[dict[str, Any]]]:
    days: dict[str, list[dict[str, Any]]] = {}
    for ts, message in channel.messages.items():
        day = datetime.fromtimestamp(float(ts), UTC).date().isoformat()
        days.setdefault(day, []).append(channel.shown(message))
    return days


def _refused(error: str) -> Response:
    return Response(body={"ok": False, "error": error})


def names(people: Iterable[str]) -> set[str]:
    """Return people without what follows the @."""
    return {person.partition("@")[0] for person in people}
