"""Slack's messages as documents: one a conversation and day, with every thread under its first message.

A message alone is too short to be found or understood, and a thread leaves out what was said around it; a
day of a channel is what a person would scroll through, and it stops changing soon.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from kiban.backends.sources.slack_text import mrkdwn_html

_SERVICE = frozenset(
    f"{kind}_{what}"
    for kind in ("channel", "group")
    for what in (
        "join leave topic purpose name archive unarchive convert_to_private posting_permissions"
    ).split()
) | frozenset(("bot_add", "bot_remove", "pinned_item", "unpinned_item", "reminder_add", "huddle_thread"))


@dataclass(frozen=True, slots=True)
class Message:
    """Something said, with what was replied to it; `ts` is its time and its name."""

    ts: str
    author: str  # id of a user, or the name of an app
    text: str  # mrkdwn
    edited: str = ""  # when
    files: tuple[str, ...] = ()  # titles
    thread: str = ""  # `ts` of the message it replies to, or its own
    reply_count: int = 0
    latest_reply: str = ""
    replies: tuple[Message, ...] = ()

    @property
    def is_reply(self) -> bool:
        return bool(self.thread) and self.thread != self.ts

    @property
    def has_replies(self) -> bool:
        return self.reply_count > 0

    def mark(self) -> str:
        """Return what is another text when any of it was changed."""
        return f"{self.ts} {self.edited} {self.reply_count} {self.latest_reply} {_hash(self.text)}" + "".join(
            f"|{reply.mark()}" for reply in self.replies
        )


def messages_of(raws: Iterable[Mapping[str, Any]]) -> list[Message]:
    """Return what people and apps said, the oldest first, without what Slack says of itself."""
    said = [_message(raw) for raw in raws if raw.get("subtype") not in _SERVICE]
    return sorted(said, key=lambda message: float(message.ts))


def threaded(messages: Sequence[Message]) -> list[Message]:
    """Return the messages that are no replies, each with its replies."""
    replies: dict[str, list[Message]] = {}
    for message in messages:
        if message.is_reply:
            replies.setdefault(message.thread, []).append(message)
    return [
        replace(message, replies=tuple(replies.get(message.ts, ())))
        for message in messages
        if not message.is_reply
    ]


def by_day(messages: Iterable[Message], zone: tzinfo) -> dict[date, list[Message]]:
    days: dict[date, list[Message]] = {}
    for message in messages:
        if not message.is_reply:
            days.setdefault(time_of(message.ts, zone).date(), []).append(message)
    return days


def time_of(ts: str, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(float(ts), UTC).astimezone(zone)


def bounds(day: date, zone: tzinfo) -> tuple[float, float]:
    """Return when a day begins and ends, in seconds since the epoch."""
    begin = datetime(day.year, day.month, day.day, tzinfo=zone)
    after = day + timedelta(days=1)
    return begin.timestamp(), datetime(after.year, after.month, after.day, tzinfo=zone).timestamp()


def tag(messages: Iterable[Message]) -> str:
    return _hash("\n".join(message.mark() for message in messages))


def day_html(
    title: str,
    messages: Iterable[Message],
    zone: tzinfo,
    names: Mapping[str, str],
    channels: Mapping[str, str],
) -> str:
    """Return a small HTML document: who said what when, replies below what they reply to."""

    def shown(message: Message) -> str:
        who = html.escape(names.get(message.author, message.author), quote=False)
        when = time_of(message.ts, zone).strftime("%H:%M")
        text = mrkdwn_html(message.text, names, channels)
        files = "".join(f"<br>📎 {html.escape(name, quote=False)}" for name in message.files)
        return f"{when} {who}: {text}{files}"

    blocks = []
    for message in messages:
        replies = "".join(f"<li>{shown(reply)}</li>" for reply in message.replies)
        blocks.append(f"<p>{shown(message)}</p>" + (f"<ul>{replies}</ul>" if replies else ""))
    name = html.escape(title, quote=False)
    return (
        f'<!doctype html><html><head><meta charset="utf-8"><title>{name}</title></head>'
        f"<body><h1>{name}</h1>{''.join(blocks)}</body></html>"
    )


def _message(raw: Mapping[str, Any]) -> Message:
    deleted = raw.get("subtype") == "tombstone"  # its replies stay
    return Message(
        ts=raw["ts"],
        author=raw.get("user") or raw.get("username") or raw.get("bot_id") or "?",
        text="…" if deleted else raw.get("text", ""),
        edited=raw.get("edited", {}).get("ts", ""),
        files=tuple(str(file.get("title") or file.get("name") or "?") for file in raw.get("files", ())),
        thread=raw.get("thread_ts", ""),
        reply_count=int(raw.get("reply_count", 0)),
        latest_reply=raw.get("latest_reply", ""),
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
