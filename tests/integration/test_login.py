"""Users, sessions and service tokens of this house, over HTTP and against a real Postgres."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import psycopg
import pytest
import typer
from lent_furniture import Lent
from typer.testing import CliRunner

from kiban.backends.postgres.connect import Postgres
from kiban.cli.tokens import tokens
from kiban.cli.users import users
from kiban.domain.credentials import Purpose
from kiban.domain.roles import Right
from kiban.errors import IdentityError, SettingsError
from kiban.wiring.answers import Answers
from kiban.wiring.furniture import Furniture
from kiban.wiring.identity import Identity
from services.chat import login
from services.chat.app import create_app
from services.chat.testing import MemoryHouse, listening

PASSWORD = "正しい馬の電池ホチキス"


@pytest.fixture
def furniture(postgres: Postgres, tmp_path: Path) -> Furniture:
    return Lent(tmp_path, postgres)


@pytest.fixture
def identity(furniture: Furniture) -> Identity:
    identity = Identity(furniture)
    identity.add_user("mori", ["hr", "operators"], PASSWORD)
    identity.add_user("wiki", [], None)
    return identity


@pytest.fixture
def page(identity: Identity, tmp_path: Path) -> Iterator[httpx.Client]:
    """Give a browser, more or less, at a service whose callers are those of `identity`."""
    house = MemoryHouse(tmp_path / "memory", {}, lambda turns: ())
    house.caller = identity.caller  # type: ignore[method-assign]
    app = create_app(house, house.desk, house.kept, house.views, house.office, entry=identity)
    with listening(app) as url, httpx.Client(base_url=url, headers={"Origin": url}) as client:
        yield client


def log_in(page: httpx.Client, name: str = "mori", password: str = PASSWORD) -> httpx.Response:
    return page.post("/login/password", json={"name": name, "password": password})


def test_a_person_logs_in_asks_and_leaves(page: httpx.Client) -> None:
    assert page.get("/login").json()["password"]
    cookie = log_in(page).raise_for_status().headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"))
    me = page.get("/v1/me").json()
    assert (me["subject"], me["rights"]) == ("mori", ["ask", "feedback", "operate", "search"])
    assert page.post("/v1/conversations").status_code == 201
    held = page.cookies["kiban-session"]
    page.post("/login/end").raise_for_status()
    assert page.get("/v1/me").status_code == 401
    page.cookies.set("kiban-session", held)
    assert page.get("/v1/me").status_code == 401  # the session is over, whoever still holds its cookie


@pytest.mark.parametrize(
    ("name", "password"), [("mori", "x" * 10), ("wiki", ""), ("wiki", PASSWORD), ("nobody", PASSWORD)]
)
def test_a_wrong_name_or_password_is_refused_alike(page: httpx.Client, name: str, password: str) -> None:
    refused = log_in(page, name, password or " ")
    assert refused.status_code == 401 and "set-cookie" not in refused.headers
    assert refused.json() == log_in(page, "nobody-else").json()


def test_a_name_that_cannot_be_kept_is_malformed(page: httpx.Client) -> None:
    assert log_in(page, "mori\0").status_code == 422


def test_guessing_is_slowed_down(page: httpx.Client) -> None:
    for guess in range(login.TRIES.amount):
        assert log_in(page, password=f"guess {guess}").status_code == 401
    assert (refused := log_in(page)).status_code == 429  # even the right one
    assert int(refused.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "sent",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_another_site_cannot_use_the_session(page: httpx.Client, sent: dict[str, str]) -> None:
    log_in(page)
    assert page.post("/v1/conversations", headers=sent).status_code == 401
    assert page.post("/v1/conversations").status_code == 201


def test_agents_come_in_by_tokens_alone(page: httpx.Client) -> None:
    log_in(page)
    assert page.post("/mcp", json={}).status_code == 401


def test_over_tls_the_cookie_is_locked_to_this_host(postgres: Postgres, tmp_path: Path) -> None:
    identity = Identity(Lent(tmp_path, postgres, page_url="https://kiban.example"))
    identity.add_user("mori", [], PASSWORD)
    house = MemoryHouse(tmp_path / "memory", {}, lambda turns: ())
    with listening(
        create_app(house, house.desk, house.kept, house.views, house.office, entry=identity)
    ) as url:
        with httpx.Client(base_url=url) as page:
            cookie = log_in(page).headers["set-cookie"]
    assert cookie.startswith("__Host-kiban-session=") and "Secure" in cookie


def test_a_changed_password_or_a_removed_user_ends_sessions(identity: Identity) -> None:
    first = identity.log_in("mori", PASSWORD)
    identity.set_password("mori", "another passphrase")
    with pytest.raises(IdentityError, match="revoked"):
        identity.caller(first)
    with pytest.raises(IdentityError):
        identity.log_in("mori", PASSWORD)
    second = identity.log_in("mori", "another passphrase")
    assert identity.caller(second).who.groups == {"hr", "operators"}
    identity.remove_user("mori")
    with pytest.raises(IdentityError, match="revoked"):
        identity.caller(second)
    assert identity.known("mori").groups == frozenset()
    assert [one.name for one in identity.users()] == ["wiki"]


def test_an_openid_provider_takes_the_place_of_passwords(postgres: Postgres, tmp_path: Path) -> None:
    identity = Identity(Lent(tmp_path, postgres, token_issuer="https://login.example"))
    identity.add_user("mori", [], PASSWORD)
    with pytest.raises(IdentityError):
        identity.log_in("mori", PASSWORD)


def test_a_service_token_allows_what_its_scopes_and_its_subject_do(identity: Identity) -> None:
    def rights(subject: str, *scopes: str) -> frozenset[Right]:
        return identity.caller(identity.issue(subject, scopes, days=1)).rights

    assert rights("wiki", "search") == {Right.SEARCH}
    assert rights("wiki", "operate", "curate") == frozenset()  # it is neither
    assert rights("mori", "operate", "search") == {Right.OPERATE, Right.SEARCH}
    assert rights("mori") == frozenset()
    with pytest.raises(SettingsError, match="choose from ask"):
        identity.issue("wiki", ["everything"], days=1)


def test_a_token_is_told_once_kept_as_a_hash_and_can_be_revoked(
    identity: Identity, furniture: Furniture, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    token = identity.issue("wiki", ["ask"], days=1, note="the wiki's box")
    session = identity.log_in("mori", PASSWORD)
    stored = admin.execute(
        "select string_agg(t::text, '') || (select string_agg(u::text, '') from kiban.local_user u)"
        " from kiban.token t"
    ).fetchone()
    assert stored
    assert not any(secret.split("_", 2)[-1] in str(stored[0]) for secret in (token, session, PASSWORD))
    (listed,) = identity.tokens()  # sessions are not service tokens
    assert (listed.subject, listed.note, listed.scopes) == ("wiki", "the wiki's box", {Right.ASK})
    for forged in (token[:-1], token + "x", token.replace(listed.id, "0" * 12), "kbn_", "kbn__", "kbn_\0_x"):
        with pytest.raises(IdentityError, match="did not issue"):
            identity.caller(forged)
    identity.revoke(listed.id)
    with pytest.raises(IdentityError, match="revoked"):
        identity.caller(token)
    with pytest.raises(SettingsError):
        identity.revoke(listed.id)
    gone = furniture.credentials.issue("wiki", None, Purpose.SERVICE, timedelta(seconds=-1))
    with pytest.raises(IdentityError, match="expired"):
        identity.caller(gone)


def test_the_role_that_answers_sees_no_credentials(postgres: Postgres, identity: Identity) -> None:
    for table in ("local_user", "token"):
        with postgres.reading(()) as tx, pytest.raises(psycopg.errors.InsufficientPrivilege):
            tx.execute(f"select from kiban.{table}".encode())


def test_a_repository_that_says_who_is_an_operator_is_not_believed(
    identity: Identity, furniture: Furniture
) -> None:
    home = f"folder:{furniture.settings.documents.resolve()}"
    furniture.library.set_memberships("wiki-repository", {"eve": frozenset({"operators", "auditors", "hr"})})
    furniture.library.set_memberships(home, {"sato": frozenset({"curators"})})
    furniture.library.set_memberships("directory:ad", {"kato": frozenset({"auditors"})})
    usual = {Right.ASK, Right.SEARCH, Right.FEEDBACK}
    assert identity.seated("eve").rights == usual
    assert identity.seated("eve").who.groups == {"operators", "auditors", "hr"}  # what it reads, it reads
    assert identity.seated("sato").rights == {*usual, Right.CURATE}
    assert identity.seated("kato").rights == {*usual, Right.AUDIT}


def test_who_may_ask_can_be_narrowed_to_a_group(postgres: Postgres, tmp_path: Path) -> None:
    identity = Identity(Lent(tmp_path, postgres, readers="staff"))
    identity.add_user("sato", ["staff"], None)
    assert identity.seated("guest").rights == frozenset()
    assert Right.ASK in identity.seated("sato").rights


@pytest.mark.parametrize("password", ["", "short", "x" * 257])
def test_a_password_has_a_fitting_length(identity: Identity, password: str) -> None:
    with pytest.raises(SettingsError, match="characters"):
        identity.add_user("new", [], password)
    assert "new" not in {one.name for one in identity.users()}


def test_no_user_is_added_twice(identity: Identity) -> None:
    with pytest.raises(SettingsError, match="already"):
        identity.add_user("mori", [], PASSWORD)
    with pytest.raises(SettingsError, match="no local user"):
        identity.set_password("nobody", PASSWORD)


def test_the_houses_answers_know_its_tokens(furniture: Furniture, identity: Identity) -> None:
    answers = Answers(furniture, None, None)  # type: ignore[arg-type]
    caller = answers.caller(identity.issue("wiki", ["ask"], days=1))
    assert (caller.who.subject, caller.rights) == ("wiki", {Right.ASK})


def test_the_command_line_adds_lists_changes_and_removes(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kiban.wiring.house", lambda: SimpleNamespace(identity=identity))

    def run(group: typer.Typer, *words: str, typed: str = "") -> Any:
        done = CliRunner().invoke(group, [*words, "--json"], input=typed)
        assert done.exit_code == 0, done.output
        return json.loads(done.output)

    run(users, "add", "sato", "--group", "sales", "--group", "staff", typed=f"{PASSWORD}\n")
    run(users, "add", "robot", "--service")
    listed = {one["name"]: (one["groups"], one["has_password"]) for one in run(users, "list")}
    assert listed["sato"] == (["sales", "staff"], True) and listed["robot"] == ([], False)
    run(users, "password", "sato", typed="another passphrase\n")
    assert identity.log_in("sato", "another passphrase")
    token = run(tokens, "add", "--as", "robot", "--scope", "search", "--scope", "ask")["token"]
    assert identity.caller(token).rights == {Right.SEARCH, Right.ASK}
    (kept,) = run(tokens, "list")
    assert (kept["subject"], kept["scopes"]) == ("robot", ["ask", "search"]) and token not in str(kept)
    run(tokens, "revoke", kept["id"])
    run(users, "remove", "sato")
    with pytest.raises(IdentityError):
        identity.caller(token)
    assert "sato" not in {one["name"] for one in run(users, "list")}
