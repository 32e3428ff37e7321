"""ports.Channel: Microsoft Teams, by activities of the Bot Framework (PyJWT for what Microsoft signs)."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Mapping
from threading import Lock
from typing import Any
from urllib.parse import quote

import httpx
import jwt

from kiban.backends.channels.web import Web
from kiban.domain.channel import Message
from kiban.errors import IdentityError, PartUnavailable

ISSUER = "https://api.botframework.com"
LEEWAY = 300  # seconds that clocks may differ, as the protocol says
KEYS_FRESH, KEYS_PAUSE = 24 * 3600.0, 60.0  # seconds: kept so long; asked again for an unknown one so often
_MENTION = re.compile(r"<at\b[^>]*>.*?</at>", re.DOTALL)


class TeamsPlatform:
    """A question in a team or a group chat is answered in the asker's own chat with the bot."""

    name = "teams"
    longest = 20_000

    def __init__(self, tenant: str, app_id: str, app_password: str, login_url: str, keys_url: str) -> None:
        self._tenant, self._app_id, self._keys = tenant, app_id, _Keys(keys_url)
        form = {
            "grant_type": "client_credentials",
            "client_id": app_id,
            "client_secret": app_password,
            "scope": f"{ISSUER}/.default",
        }
        self._web = Web("Teams", f"{login_url}/{tenant}/oauth2/v2.0/token", lambda: form)

    def received(self, headers: Mapping[str, str], body: bytes) -> Message | None:
        """Microsoft's token names this bot and where answers go to: our own token goes nowhere else."""
        claims, key = self._proven(headers.get("authorization", ""))
        try:
            sent = json.loads(body)
            service, said, by = sent["serviceUrl"], sent["conversation"], sent["from"]
        except (ValueError, KeyError, TypeError) as error:
            raise IdentityError("this is no activity") from error
        if claims.get("serviceurl") != service or sent.get("channelId") not in key.get("endorsements", ()):
            raise IdentityError("the token was made for something else")
        tenant = ((sent.get("channelData") or {}).get("tenant") or {}).get("id")
        text = html.unescape(_MENTION.sub(" ", str(sent.get("text") or ""))).strip()
        if sent.get("type") != "message" or tenant != self._tenant or not text:
            return None
        back = {
            "service": service.rstrip("/"),
            "conversation": str(said["id"]),
            "bot": str((sent.get("recipient") or {}).get("id", "")),
        }
        direct = said.get("conversationType") == "personal"
        return Message(f"{said['id']} {sent.get('id', '')}", str(by["id"]), text, direct, back)

    def identities(self, message: Message) -> list[str]:
        where = f"{message.back['service']}/v3/conversations/{quote(message.back['conversation'], safe='')}"
        member = self._web.get(f"{where}/members/{quote(message.person, safe='')}")
        name = str(member.get("userPrincipalName", "")).lower()
        if member.get("tenantId") != self._tenant or not name or "#ext#" in name:
            return []
        known = str(member.get("aadObjectId", ""))
        return [name, *([f"teams:{known}"] if known else [])]

    def tell(self, message: Message, text: str) -> None:
        conversations, id = f"{message.back['service']}/v3/conversations", message.back["conversation"]
        if not message.direct:
            own = {
                "bot": {"id": message.back["bot"]},
                "members": [{"id": message.person}],
                "isGroup": False,
                "tenantId": self._tenant,
                "channelData": {"tenant": {"id": self._tenant}},
            }
            id = str(self._web.post(conversations, own)["id"])
        said = {"type": "message", "textFormat": "plain", "text": text}
        self._web.post(f"{conversations}/{quote(id, safe='')}/activities", said)

    def _proven(self, authorization: str) -> tuple[dict[str, Any], dict[str, Any]]:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise IdentityError("a bearer token is needed")
        try:
            key = self._keys.get(str(jwt.get_unverified_header(token).get("kid")))
            claims = jwt.decode(
                token,
                jwt.PyJWK(key, algorithm="RS256"),
                algorithms=["RS256"],
                audience=self._app_id,
                issuer=ISSUER,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.PyJWTError as error:
            raise IdentityError(str(error)) from error
        return claims, key


class _Keys:
    """Microsoft's public keys, each with the platforms it speaks for ("endorsements")."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._known: dict[str, dict[str, Any]] = {}
        self._fetched = -KEYS_FRESH
        self._lock = Lock()

    def get(self, kid: str) -> dict[str, Any]:
        with self._lock:
            age = time.monotonic() - self._fetched
            if age >= KEYS_FRESH or (kid not in self._known and age >= KEYS_PAUSE):
                about = _fetched(self._url)
                self._known = {str(key["kid"]): key for key in _fetched(str(about.get("jwks_uri")))["keys"]}
                self._fetched = time.monotonic()
            if kid not in self._known:
                raise IdentityError("it is signed with a key that Microsoft does not publish")
            return self._known[kid]


def _fetched(url: str) -> dict[str, Any]:
    try:
        return dict(httpx.get(url, timeout=10).raise_for_status().json())
    except (httpx.HTTPError, ValueError) as error:
        raise PartUnavailable(f"keys of the Bot Framework: {error}") from error
