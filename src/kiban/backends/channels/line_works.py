"""ports.Channel: LINE WORKS, by the callbacks of its Bot API 2.0 (PyJWT for the service account)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

import jwt

from kiban.backends.channels.web import Web
from kiban.domain.channel import Message
from kiban.errors import IdentityError

OLDEST = 300.0  # seconds since it was said: later it may be somebody's recording
ASSERTED = 600  # seconds that a request for an access token holds


class LineWorksPlatform:
    """Whatever was asked in a room with others is answered in the asker's own room with the bot."""

    name = "lineworks"
    longest = 2_000

    def __init__(
        self,
        domain: int,
        bot_id: str,
        bot_secret: str,
        client: tuple[str, str],
        account: tuple[str, str],
        api_url: str,
        login_url: str,
    ) -> None:
        """`client` is an id and its secret, `account` a service account and its private key in PEM."""
        self._domain, self._bot_id, self._secret = domain, bot_id, bot_secret.encode()
        self._client, self._account, self._api = client, account, api_url.rstrip("/")
        self._web = Web("LINE WORKS", login_url, self._credentials)

    def received(self, headers: Mapping[str, str], body: bytes) -> Message | None:
        """LINE WORKS signs the body with HMAC-SHA256, and names no event: the body's hash does."""
        due = base64.b64encode(hmac.digest(self._secret, body, "sha256")).decode()
        signed = hmac.compare_digest(due.encode(), headers.get("x-works-signature", "").encode())
        if not signed or headers.get("x-works-botid", "") != self._bot_id:
            raise IdentityError("LINE WORKS did not sign this")
        try:
            sent = json.loads(body)
            source, content = sent["source"], sent["content"]
            said = datetime.fromisoformat(sent["issuedTime"])
        except (ValueError, KeyError, TypeError):
            return None  # joined, left, and what else happens in rooms
        age = (datetime.now(UTC) - said).total_seconds()
        if sent.get("type") != "message" or content.get("type") != "text" or abs(age) > OLDEST:
            return None
        if source.get("domainId") != self._domain:
            return None
        event, direct = hashlib.sha256(body).hexdigest(), "channelId" not in source
        return Message(event, str(source["userId"]), str(content.get("text", "")).strip(), direct)

    def identities(self, message: Message) -> list[str]:
        user = self._web.get(f"{self._api}/users/{quote(message.person, safe='')}")
        if user.get("domainId") != self._domain or user.get("isDeleted") or user.get("isSuspended"):
            return []
        email = str(user.get("email", "")).lower()
        return [*([email] if email else []), f"lineworks:{message.person}"]

    def tell(self, message: Message, text: str) -> None:
        room = f"{self._api}/bots/{self._bot_id}/users/{quote(message.person, safe='')}/messages"
        self._web.post(room, {"content": {"type": "text", "text": text}})

    def _credentials(self) -> dict[str, str]:
        (id, secret), (account, key), now = self._client, self._account, int(time.time())
        claims = {"iss": id, "sub": account, "iat": now, "exp": now + ASSERTED}
        return {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": jwt.encode(claims, key, algorithm="RS256"),
            "client_id": id,
            "client_secret": secret,
            "scope": "bot,user.read",
        }
