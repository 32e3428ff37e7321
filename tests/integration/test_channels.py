"""Questions from Slack, Teams and LINE WORKS: payloads as the platforms document them, really signed, against
a local server that plays their reply APIs. Never tried against the platforms themselves."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from chat_platforms import Platform
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from kiban.backends.postgres.connect import Postgres
from kiban.domain.access import EVERYONE, Principal
from kiban.domain.document import Place
from kiban.settings import Settings
from kiban.wiring.channels import ChannelDesk, opened, seat_of
from kiban.wiring.furniture import Furniture
from services.channels.app import create_app
from services.chat.testing import MemoryHouse, listening

SENTENCE = "国内出張の宿泊費は11,000円を上限とする。"
SECRET = "部長の宿泊費は20,000円を上限とする。"
ASKED = "国内出張の宿泊費はいくらですか。"
ANSWER = f"11,000円です。「{SENTENCE}」[1]\n\n出典：\n[1] 旅費規程 (3ページ)"
PEOPLE = {"sato@example.co.jp": frozenset[str](), "mori@example.co.jp": frozenset({"hr"})}
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
SIGNING, BOT_SECRET, APP, TENANT = "8f742231b10e8888abcd99yyyzzz85a5", "bot secret", "app-id", "tenant-id"


class Running:
    """Everything, listening; what the platforms are told afterwards."""

    def __init__(self, url: str, platform: Platform, house: MemoryHouse) -> None:
        self.url, self.platform, self.house = url, platform, house

    def send(self, name: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        headers = {"Content-Type": "application/json", **headers}
        return httpx.post(f"{self.url}/{name}", content=body, headers=headers, trust_env=False)

    def told(self, path: str) -> list[Any]:
        """Return the bodies sent to a place, once the messages taken so far are answered."""
        for _ in range(200):
            if found := self.platform.to(path):
                return [call.body for call in found]
            time.sleep(0.02)
        return []

    def nothing_told(self) -> bool:
        """Say whether nobody was told anything: a message behind the one in question was answered first."""
        return not [
            call for call in self.platform.calls if "essage" in call.path or "activities" in call.path
        ]


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    platform = Platform()
    with ExitStack() as open_:
        url = open_.enter_context(platform.listening())
        platform.routes = routes(url)
        house = MemoryHouse(tmp_path_factory.mktemp("keys"), PEOPLE, lambda turns: (ANSWER.split("\n")[0],))
        house.shelve("旅費規程", frozenset({EVERYONE}), (Place(page=3), SENTENCE))
        house.shelve("役員旅費", frozenset({"hr"}), (Place(), SECRET))
        channels = opened(Settings(channels=settings(url)))  # type: ignore[arg-type]
        desk = ChannelDesk(channels, seat, house)
        yield Running(open_.enter_context(listening(create_app(desk))), platform, house)
        for channel in channels:
            if hasattr(channel, "_web"):
                channel._web.close()


def seat(name: str) -> Principal | None:
    return Principal(name, PEOPLE[name]) if name in PEOPLE else None


def settings(url: str) -> list[dict[str, Any]]:
    return [
        {
            "kind": "slack", "team": "T1", "signing_secret": SIGNING, "bot_token": "xoxb-1",
            "api_url": f"{url}/api/",
        },
        {
            "kind": "teams", "tenant": TENANT, "app_id": APP, "app_password": "p",
            "login_url": f"{url}/login", "keys_url": f"{url}/openid",
        },
        {
            "kind": "lineworks", "domain": 40029600, "bot_id": "2000001", "bot_secret": BOT_SECRET,
            "client_id": "c", "client_secret": "s", "service_account": "a@example", "private_key": PEM,
            "api_url": f"{url}/v1.0", "login_url": f"{url}/token",
        },
    ]  # fmt: skip


def routes(url: str) -> dict[str, Any]:
    public = RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
    key = {**public, "kid": "k1", "use": "sig", "endorsements": ["msteams"]}
    member = {"tenantId": TENANT, "aadObjectId": "aad-1", "userPrincipalName": "Sato@example.co.jp"}
    token = {"access_token": "granted", "token_type": "Bearer", "expires_in": 3600}
    return {
        "POST /api/users.info": slack_user,
        "POST /api/chat.postMessage": {"ok": True},
        "POST /api/chat.postEphemeral": {"ok": True},
        "GET /openid": {"issuer": "https://api.botframework.com", "jwks_uri": f"{url}/keys"},
        "GET /keys": {"keys": [key]},
        f"POST /login/{TENANT}/oauth2/v2.0/token": token,
        "GET /teams/v3/conversations/a%3A1/members/29%3A1": member,
        "GET /teams/v3/conversations/19%3Ateam/members/29%3A1": member,
        "GET /teams/v3/conversations/a%3A1/members/29%3Aguest": {
            **member, "userPrincipalName": "sato_example.co.jp#EXT#@other.onmicrosoft.com",
        },
        "POST /teams/v3/conversations": {"id": "a:own"},
        "POST /teams/v3/conversations/a%3A1/activities": {"id": "1"},
        "POST /teams/v3/conversations/a%3Aown/activities": {"id": "1"},
        "POST /token": token,
        "GET /v1.0/users/u1": {"userId": "u1", "domainId": 40029600, "email": "sato@example.co.jp"},
        "GET /v1.0/users/u2": {"userId": "u2", "domainId": 40029600, "email": "nobody@example.co.jp"},
        "POST /v1.0/bots/2000001/users/u1/messages": {},
        "POST /v1.0/bots/2000001/users/u2/messages": {},
    }  # fmt: skip


SLACK_USERS: dict[str, dict[str, Any]] = {
    "U1": {},
    "UMORI": {"profile": {"email": "mori@example.co.jp"}},
    "UNOBODY": {"profile": {"email": "nobody@example.co.jp"}},
    "UGUEST": {"is_restricted": True},
    "UFOREIGN": {"team_id": "T2", "is_stranger": True},
    "UBOT": {"is_bot": True},
    "UGONE": {"deleted": True},
    "UUNCONFIRMED": {"is_email_confirmed": False},
}


def slack_user(call: Any) -> dict[str, Any]:
    id = call.body["user"]
    usual = {"id": id, "team_id": "T1", "is_bot": False, "profile": {"email": "Sato@example.co.jp"}}
    return {"ok": True, "user": usual | SLACK_USERS[id]}


# --- Slack ---


def slack(running: Running, sent: Any, *, age: float = 0, secret: str = SIGNING) -> httpx.Response:
    body, stamp = json.dumps(sent).encode(), str(int(time.time() - age))
    signed = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={signed}"}
    return running.send("slack", body, headers)


def slack_event(user: str = "U1", event_id: str = "Ev1", **event: Any) -> dict[str, Any]:
    direct = {
        "type": "message", "channel": "D1", "channel_type": "im", "user": user, "text": ASKED,
        "ts": "1355517523.000005", "event_ts": "1355517523.000005",
    }  # fmt: skip
    return {
        "token": "XXYYZZ", "team_id": "T1", "api_app_id": "A1", "type": "event_callback",
        "event_id": event_id, "event_time": 1355517523, "event": direct | event,
    }  # fmt: skip


def test_slack_is_shown_that_this_address_is_ours(running: Running) -> None:
    asked = {
        "token": "T",
        "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P",
        "type": "url_verification",
    }
    assert slack(running, asked).json() == {"challenge": asked["challenge"]}
    assert slack(running, asked, secret="other").status_code == 401


def test_a_direct_message_in_slack_is_answered_there_with_its_sources(running: Running) -> None:
    assert slack(running, slack_event()).status_code == 200
    (told,) = running.told("/api/chat.postMessage")
    assert told == {
        "channel": "D1", "text": ANSWER, "mrkdwn": False, "unfurl_links": False, "unfurl_media": False,
    }  # fmt: skip
    assert running.platform.to("/api/users.info")[0].headers["Authorization"] == "Bearer xoxb-1"


def test_a_mention_in_a_channel_is_answered_to_the_asker_alone(running: Running) -> None:
    said = {
        "type": "app_mention",
        "channel": "C1",
        "channel_type": "channel",
        "text": f"<@U0LAN0Z89> {ASKED}",
    }
    slack(running, slack_event(**said, thread_ts="1.2"))
    (told,) = running.told("/api/chat.postEphemeral")
    assert (told["channel"], told["user"], told["text"], told["thread_ts"]) == ("C1", "U1", ANSWER, "1.2")
    assert not running.platform.to("/api/chat.postMessage")


def test_each_is_answered_from_what_that_person_may_read(running: Running) -> None:
    running.house.write = lambda turns: (
        f"「{SECRET}」[1]" if SECRET in turns[-1].text else "「無い文ですよ」[1]",
    )
    slack(running, slack_event("U1", text="部長の宿泊費"))
    assert SECRET not in running.told("/api/chat.postMessage")[0]["text"]
    running.platform.calls.clear()
    slack(running, slack_event("UMORI", "Ev2", text="部長の宿泊費"))
    assert f"「{SECRET}」[" in running.told("/api/chat.postMessage")[0]["text"]


@pytest.mark.parametrize("user", [user for user in SLACK_USERS if user not in ("U1", "UMORI")])
def test_whom_the_directory_does_not_know_is_told_nothing(running: Running, user: str) -> None:
    assert slack(running, slack_event(user)).status_code == 200
    slack(running, slack_event("U1", "Ev2", channel="DLATER"))
    assert [told["channel"] for told in running.told("/api/chat.postMessage")] == ["DLATER"]


def test_what_is_sent_again_is_answered_once(running: Running) -> None:
    for _ in range(3):
        assert slack(running, slack_event()).status_code == 200
    slack(running, slack_event("U1", "Ev2", channel="DLATER"))
    for _ in range(100):
        told = [one["channel"] for one in running.told("/api/chat.postMessage")]
        if len(told) == 2:
            break
        time.sleep(0.02)
    assert sorted(told) == ["D1", "DLATER"]


def test_what_slack_did_not_sign_or_signed_long_ago_is_refused(running: Running) -> None:
    assert slack(running, slack_event(), secret="other").status_code == 401
    assert slack(running, slack_event(), age=600).status_code == 401
    assert running.send("slack", b"{}", {}).status_code == 401
    assert running.send("nowhere", b"{}", {}).status_code == 401
    assert running.platform.calls == []


@pytest.mark.parametrize(
    "event",
    [
        {"subtype": "message_changed"},
        {"bot_id": "B1"},
        {"channel_type": "channel"},  # not to us
        {"type": "reaction_added"},
        {"text": "<@U0LAN0Z89>"},
        {"user": ""},
    ],
)
def test_what_is_no_question_is_not_answered(running: Running, event: dict[str, Any]) -> None:
    assert slack(running, slack_event(**event)).status_code == 200
    assert slack(running, {**slack_event(event_id="Ev3"), "team_id": "T2"}).status_code == 200
    assert running.platform.calls == []


def test_signs_of_slack_in_an_answer_are_escaped(running: Running) -> None:
    running.house.write = lambda turns: ("<!channel> 3 < 5 & <https://a.example|x>",)
    slack(running, slack_event())
    (told,) = running.told("/api/chat.postMessage")
    assert told["text"] == "＜!channel&gt; 3 &lt; 5 &amp; ＜https：//a.example|x&gt;"


def test_a_model_that_fails_is_told_in_words(running: Running) -> None:
    from kiban.errors import PartUnavailable

    running.house.fails_with = PartUnavailable("gone")
    slack(running, slack_event())
    (told,) = running.told("/api/chat.postMessage")
    assert told["text"] == "いまは回答できません。しばらくしてから、もう一度お尋ねください。"


# --- Teams ---


def activity(running: Running, **more: Any) -> dict[str, Any]:
    return {
        "type": "message", "id": "1485983408511", "timestamp": "2026-11-25T09:00:00.000Z",
        "serviceUrl": f"{running.platform.url}/teams/", "channelId": "msteams",
        "from": {"id": "29:1", "name": "佐藤", "aadObjectId": "aad-1"},
        "conversation": {"conversationType": "personal", "id": "a:1", "tenantId": TENANT},
        "recipient": {"id": "28:bot", "name": "Kiban"}, "text": ASKED, "textFormat": "plain",
        "channelData": {"tenant": {"id": TENANT}},
        **more,
    }  # fmt: skip


def teams(running: Running, sent: dict[str, Any], key: Any = KEY, kid: str = "k1", **claims: Any) -> int:
    usual = {
        "iss": "https://api.botframework.com", "aud": APP, "exp": time.time() + 600, "nbf": time.time(),
        "serviceurl": f"{running.platform.url}/teams/",
    }  # fmt: skip
    token = jwt.encode(usual | claims, key, algorithm="RS256", headers={"kid": kid})
    reply = running.send("teams", json.dumps(sent).encode(), {"Authorization": f"Bearer {token}"})
    return reply.status_code


def test_a_personal_chat_in_teams_is_answered_there(running: Running) -> None:
    assert teams(running, activity(running)) == 200
    (told,) = running.told("/teams/v3/conversations/a%3A1/activities")
    assert told == {"type": "message", "textFormat": "plain", "text": ANSWER}
    (login,) = running.platform.to(f"/login/{TENANT}/oauth2/v2.0/token")
    assert login.body["scope"] == ["https://api.botframework.com/.default"]
    assert running.platform.calls[-1].headers["Authorization"] == "Bearer granted"


def test_a_mention_in_a_team_is_answered_in_the_askers_own_chat(running: Running) -> None:
    said = {
        "conversation": {"conversationType": "channel", "id": "19:team"},
        "text": f"<at>Kiban</at> {ASKED}&nbsp;",
    }
    assert teams(running, activity(running, **said)) == 200
    (told,) = running.told("/teams/v3/conversations/a%3Aown/activities")
    assert told["text"] == ANSWER
    (own,) = running.platform.to("/teams/v3/conversations")
    assert (own.body["members"], own.body["isGroup"]) == ([{"id": "29:1"}], False)


def test_what_microsoft_did_not_sign_for_this_bot_and_place_is_refused(running: Running) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    sent = activity(running)
    assert teams(running, sent, other) == 401
    assert teams(running, sent, kid="k2") == 401
    assert teams(running, sent, aud="another bot") == 401
    assert teams(running, sent, iss="https://sts.example") == 401
    assert teams(running, sent, exp=time.time() - 1000) == 401
    assert teams(running, sent, serviceurl="https://attacker.example/") == 401
    assert teams(running, activity(running, channelId="webchat")) == 401  # the key does not speak for it
    body = json.dumps(sent).encode()
    unsigned = jwt.encode({"iss": "https://api.botframework.com", "aud": APP}, "", algorithm="none")
    shared = jwt.encode({"aud": APP}, PEM.encode()[:40], algorithm="HS256", headers={"kid": "k1"})
    for token in (unsigned, shared, "a.b.c"):
        assert running.send("teams", body, {"Authorization": f"Bearer {token}"}).status_code == 401
    assert running.send("teams", body, {}).status_code == 401
    assert running.nothing_told()


def test_guests_and_people_of_other_tenants_are_told_nothing(running: Running) -> None:
    guest = activity(running, **{"from": {"id": "29:guest"}}, id="2")
    assert teams(running, guest) == 200
    foreign = activity(running, channelData={"tenant": {"id": "another"}}, id="3")
    assert teams(running, foreign) == 200
    assert teams(running, activity(running, id="4")) == 200
    assert len(running.told("/teams/v3/conversations/a%3A1/activities")) == 1


# --- LINE WORKS ---


def line_works(running: Running, sent: Any, *, secret: str = BOT_SECRET, bot: str = "2000001") -> int:
    body = json.dumps(sent).encode()
    signed = base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()
    headers = {"X-WORKS-Signature": signed, "X-WORKS-BotId": bot}
    return running.send("lineworks", body, headers).status_code


def callback(user: str = "u1", *, age: float = 0, **source: Any) -> dict[str, Any]:
    said = (
        (datetime.now(UTC) - timedelta(seconds=age)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
    return {
        "type": "message", "source": {"userId": user, "domainId": 40029600, **source}, "issuedTime": said,
        "content": {"type": "text", "text": ASKED},
    }  # fmt: skip


@pytest.mark.parametrize("source", [{}, {"channelId": "12345a12-b12c-12d3-e123fghijkl"}])
def test_line_works_is_answered_in_the_askers_own_room(running: Running, source: dict[str, str]) -> None:
    assert line_works(running, callback(**source)) == 200
    (told,) = running.told("/v1.0/bots/2000001/users/u1/messages")
    assert told == {"content": {"type": "text", "text": ANSWER}}
    (login,) = running.platform.to("/token")
    claims = jwt.decode(login.body["assertion"][0], KEY.public_key(), algorithms=["RS256"])
    assert (claims["iss"], claims["sub"]) == ("c", "a@example")


def test_what_line_works_did_not_sign_for_this_bot_is_refused(running: Running) -> None:
    assert line_works(running, callback(), secret="other") == 401
    assert line_works(running, callback(), bot="2000002") == 401
    assert running.platform.calls == []


def test_recordings_other_domains_strangers_and_other_events_get_nothing(running: Running) -> None:
    assert line_works(running, callback(age=1000)) == 200
    assert line_works(running, callback(domainId=1)) == 200
    assert line_works(running, {"type": "joined", "source": {"domainId": 40029600}}) == 200
    assert line_works(running, [1]) == 200
    assert running.platform.calls == []
    assert line_works(running, callback("u2")) == 200
    twice = callback()
    assert [line_works(running, twice), line_works(running, twice)] == [200, 200]
    assert len(running.told("/v1.0/bots/2000001/users/u1/messages")) == 1
    assert not running.platform.to("/v1.0/bots/2000001/users/u2/messages")


def test_a_long_answer_keeps_its_sources_within_what_a_platform_takes(running: Running) -> None:
    running.house.write = lambda turns: (f"「{SENTENCE}」[1]" + "長い話。" * 1000,)
    line_works(running, callback())
    ((told),) = running.told("/v1.0/bots/2000001/users/u1/messages")
    text = told["content"]["text"]
    assert len(text) == 2000 and text.endswith("…\n\n出典：\n[1] 旅費規程 (3ページ)")


def test_those_alone_are_seated_whom_the_directory_names(postgres: Postgres) -> None:
    furniture = Furniture(Settings())
    furniture.__dict__["postgres"] = postgres
    furniture.library.set_memberships("folder", {"mori@example.co.jp": frozenset({"hr"})})
    seated = seat_of(furniture)
    assert seated("mori@example.co.jp") == Principal("mori@example.co.jp", frozenset({"hr"}))
    assert seated("sato@example.co.jp") is None
    assert seated("mori") is None
