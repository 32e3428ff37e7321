"""ports.Channel: Slack, by its Events API (slack_sdk)."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError
from slack_sdk.signature import SignatureVerifier

from kiban.domain.channel import Handshake, Message
from kiban.errors import IdentityError, PartUnavailable

_MENTION = re.compile(r"<@[A-Z0-9]+(?:\|[^>]*)?>")


class SlackPlatform:
    """Direct messages are answered there, mentions in a channel by a message that only the asker sees."""

    name = "slack"
    longest = 12_000

    def __init__(self, team: str, signing_secret: str, bot_token: str, api_url: str) -> None:
        self._team = team
        self._signature = SignatureVerifier(signing_secret)
        self._client = WebClient(bot_token, base_url=api_url, timeout=10)

    def received(self, headers: Mapping[str, str], body: bytes) -> Message | Handshake | None:
        """Slack signs time and body with HMAC-SHA256 ("v0"); what is older than 5 minutes is refused."""
        if not self._is_signed(headers, body):
            raise IdentityError("Slack did not sign this")
        sent = _json(body)
        if sent.get("type") == "url_verification":
            return Handshake(str(sent.get("challenge", "")))
        event = sent.get("event") or {}
        direct = event.get("type") == "message" and event.get("channel_type") == "im"
        # Edits, joins and what bots say have a subtype or a bot's id.
        by_person = event.get("user") and not event.get("bot_id") and not event.get("subtype")
        if not by_person or not (direct or event.get("type") == "app_mention"):
            return None
        if sent.get("team_id") != self._team:
            return None
        text = html.unescape(_MENTION.sub(" ", str(event.get("text", "")))).strip()
        back = {"channel": str(event["channel"]), "thread": str(event.get("thread_ts", ""))}
        return Message(str(sent.get("event_id", "")), str(event["user"]), text, direct, back)

    def identities(self, message: Message) -> list[str]:
        user = self._ask("users.info", user=message.person).get("user") or {}
        foreign = user.get("team_id") != self._team or user.get("is_stranger")
        guest = user.get("is_restricted") or user.get("is_ultra_restricted")
        if foreign or guest or user.get("is_bot") or user.get("deleted"):
            return []
        email = str((user.get("profile") or {}).get("email", "")).lower()
        vouched = email and user.get("is_email_confirmed", True)
        return [*([email] if vouched else []), f"slack:{message.person}"]

    def tell(self, message: Message, text: str) -> None:
        thread = {"thread_ts": message.back["thread"]} if message.back["thread"] else {}
        what = {"channel": message.back["channel"], "text": html.escape(text, quote=False), **thread}
        if message.direct:
            quiet = {"mrkdwn": False, "unfurl_links": False, "unfurl_media": False}
            self._ask("chat.postMessage", **what, **quiet)
        else:
            self._ask("chat.postEphemeral", user=message.person, **what)

    def _is_signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        stamp = headers.get("x-slack-request-timestamp", "")
        signature = headers.get("x-slack-signature", "")
        return stamp.isdecimal() and self._signature.is_valid(body, stamp, signature)

    def _ask(self, method: str, **about: Any) -> dict[str, Any]:
        try:
            return dict(self._client.api_call(method, json=about).data)  # type: ignore[arg-type]
        except (SlackClientError, OSError) as error:
            raise PartUnavailable(f"Slack, {method}: {error}") from error


def _json(body: bytes) -> dict[str, Any]:
    try:
        sent = json.loads(body)
    except ValueError as error:
        raise IdentityError("this is no JSON") from error
    return sent if isinstance(sent, dict) else {}
