"""Tokens and logins of a certified OpenID provider, a process of its own."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from openid_provider import NOWHERE, OpenIdProcess, running

from kiban.backends.openid_login import OpenIdLogin
from kiban.backends.openid_provider import KEYS_FRESH, KEYS_LAST, KEYS_PAUSE, OpenIdProvider
from kiban.backends.tokens import TokenVerifier
from kiban.errors import IdentityError, PartUnavailable

CLIENT = "kiban-page"


@pytest.fixture(scope="module")
def started() -> Iterator[OpenIdProcess]:
    with running() as provider:
        yield provider


@pytest.fixture
def provider(started: OpenIdProcess) -> OpenIdProcess:
    if started._process.poll() is not None:
        started.start()
    return started


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verifier(provider: OpenIdProcess, clock: Clock) -> TokenVerifier:
    return TokenVerifier(provider.url, provider.url, "kiban", clock=clock)


def part(token: str, number: int) -> dict[str, object]:
    text = token.split(".")[number]
    read: dict[str, object] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return read


def coded(part: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def test_its_tokens_prove_their_subject(provider: OpenIdProcess, verifier: TokenVerifier) -> None:
    assert verifier.subject(provider.token()) == "wiki"


def test_a_token_for_another_service_is_refused(provider: OpenIdProcess, verifier: TokenVerifier) -> None:
    with pytest.raises(IdentityError, match="Audience"):
        verifier.subject(provider.token("https://payroll.example"))


def test_an_expired_token_is_refused_after_the_leeway(provider: OpenIdProcess, clock: Clock) -> None:
    exact = TokenVerifier(provider.url, provider.url, "kiban", leeway=0)
    lenient = TokenVerifier(provider.url, provider.url, "kiban")
    token = provider.token("https://kiban.example/brief")
    while time.time() <= float(str(part(token, 1)["exp"])):
        time.sleep(0.1)
    with pytest.raises(IdentityError, match="expired"):
        exact.subject(token)
    assert lenient.subject(token) == "wiki"  # clocks differ


def test_what_is_changed_or_unsigned_is_refused(provider: OpenIdProcess, verifier: TokenVerifier) -> None:
    token = provider.token()
    head, claims, signature = token.split(".")
    mighty = coded({**part(token, 1), "sub": "mori", "groups": ["hr"]})
    unsigned = [f"{coded({**part(token, 0), 'alg': alg})}.{claims}." for alg in ("none", "None", "HS256")]
    for forged in (f"{head}.{mighty}.{signature}", f"{head}.{claims}.", *unsigned):
        with pytest.raises(IdentityError):
            verifier.subject(forged)


def test_keys_rotate_while_we_run(provider: OpenIdProcess, verifier: TokenVerifier, clock: Clock) -> None:
    old = provider.token()
    assert verifier.subject(old) == "wiki"
    kid = provider.tell("rotate")
    new = provider.token()
    assert part(new, 0)["kid"] == kid != part(old, 0)["kid"]
    clock.now += KEYS_PAUSE
    assert verifier.subject(new) == verifier.subject(old) == "wiki"
    provider.tell("forget")
    clock.now += KEYS_FRESH
    assert verifier.subject(new) == "wiki"
    with pytest.raises(IdentityError, match="does not publish"):
        verifier.subject(old)


def test_a_swapped_key_id_is_refused(provider: OpenIdProcess, verifier: TokenVerifier, clock: Clock) -> None:
    old = provider.token()
    kid = provider.tell("rotate")
    _, claims, signature = old.split(".")
    swapped = coded({**part(old, 0), "kid": kid})
    with pytest.raises(IdentityError, match="Signature"):
        verifier.subject(f"{swapped}.{claims}.{signature}")
    stranger = coded({**part(old, 0), "kid": "nobody's"})
    with pytest.raises(IdentityError, match="does not publish"):
        verifier.subject(f"{stranger}.{claims}.{signature}")


def test_while_it_is_down_known_keys_go_on_and_strangers_are_told_to_wait(
    provider: OpenIdProcess, verifier: TokenVerifier, clock: Clock
) -> None:
    token = provider.token()
    assert verifier.subject(token) == "wiki"
    provider.stop()
    clock.now += KEYS_FRESH + 1
    assert verifier.subject(token) == "wiki"
    stranger = f"{coded({**part(token, 0), 'kid': 'new'})}.{token.split('.', 1)[1]}"
    with pytest.raises(PartUnavailable, match="OpenID provider"):
        verifier.subject(stranger)  # it may be a new key: who knows
    clock.now += KEYS_LAST
    with pytest.raises(PartUnavailable):
        verifier.subject(token)


def login_at(provider: OpenIdProcess, named_by: str = "preferred_username") -> OpenIdLogin:
    verifier = TokenVerifier(provider.url, provider.url, CLIENT, named_by=named_by)
    return OpenIdLogin(OpenIdProvider(provider.url), verifier, CLIENT, "", NOWHERE, "openid profile email")


def travel(url: str, name: str) -> dict[str, str]:
    """Log in at the provider as a person does in a browser; return what the address to come back to says."""
    with httpx.Client(follow_redirects=False, trust_env=False) as browser:
        reply = browser.get(url)
        for _ in range(10):
            if reply.is_redirect:
                to = str(reply.url.join(reply.headers["location"]))
                if to.startswith(NOWHERE):
                    return {key: values[0] for key, values in parse_qs(urlsplit(to).query).items()}
                reply = browser.get(to)
            else:
                form = re.search(r'action="([^"]+)"', reply.text)
                prompt = re.search(r'name="prompt" value="(\w+)"', reply.text)
                assert form and prompt, reply.text[:500]
                answers = {"prompt": prompt[1], "login": name, "password": "any"}
                reply = browser.post(str(reply.url.join(form[1])), data=answers)
    raise AssertionError("nobody came back")


def test_a_person_logs_in_by_code_and_challenge(provider: OpenIdProcess) -> None:
    login = login_at(provider)
    url, journey = login.begin()
    asked = parse_qs(urlsplit(url).query)
    assert asked["code_challenge_method"] == ["S256"] and journey.verifier not in url
    assert login.finish(journey, travel(url, "佐藤")) == "佐藤"


def test_a_code_is_good_once_for_one_browser_and_one_login(provider: OpenIdProcess) -> None:
    login = login_at(provider)
    url, journey = login.begin()
    _, other = login.begin()
    brought = travel(url, "sato")
    for wrong, why in (
        ({**brought, "state": other.state}, "did not begin"),
        ({key: brought[key] for key in brought if key != "state"}, "did not begin"),
        ({**brought, "iss": "https://evil.example"}, "another provider"),
        ({"state": journey.state, "error": "access_denied"}, "access_denied"),
        ({**brought, "code": "guessed"}, "refused the code"),
    ):
        with pytest.raises(IdentityError, match=why):
            login.finish(journey, wrong)
    assert login.finish(journey, brought) == "sato"
    with pytest.raises(IdentityError, match="refused the code"):
        login.finish(journey, brought)


@pytest.mark.parametrize("kept", ["verifier", "nonce"])
def test_a_stolen_code_is_of_no_use(provider: OpenIdProcess, kept: str) -> None:
    login = login_at(provider)
    url, journey = login.begin()
    brought = travel(url, "sato")
    with pytest.raises(IdentityError):
        login.finish(replace(journey, **{kept: "x" * 43}), brought)


def test_a_name_is_taken_only_from_the_claim_of_the_settings(provider: OpenIdProcess) -> None:
    for named_by, name, found in (
        ("sub", "sato", "sato"),
        ("email", "sato", "sato@nichirin.example"),
    ):
        login = login_at(provider, named_by)
        url, journey = login.begin()
        assert login.finish(journey, travel(url, name)) == found
    login = login_at(provider, "email")
    url, journey = login.begin()
    with pytest.raises(IdentityError, match="not verified"):
        login.finish(journey, travel(url, "eve"))
    login = login_at(provider, "upn")
    url, journey = login.begin()
    with pytest.raises(IdentityError, match="names nobody"):
        login.finish(journey, travel(url, "sato"))


def test_a_silent_provider_is_named_when_somebody_wants_to_log_in(provider: OpenIdProcess) -> None:
    login = login_at(provider)
    provider.stop()
    with pytest.raises(PartUnavailable, match="OpenID provider"):
        login.begin()
