"""Logging in, in headless Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from free_port import find_free_port
from lent_furniture import Lent
from openid_provider import running
from playwright.sync_api import Browser, Page, expect, sync_playwright

from kiban.backends.postgres.connect import Postgres
from kiban.wiring.identity import Identity
from services.chat.app import create_app
from services.chat.testing import MemoryHouse, listening, serving

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on PATH (Debian: apt-get install chromium)"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    house = MemoryHouse(tmp_path, {}, lambda turns: "資料に記載がありません。")
    house.entry.passwords["sato"] = "正しい馬の電池"
    with serving(house) as url, browser.new_context(locale="ja-JP") as context:
        page = context.new_page()
        page.goto(url)
        yield page


def log_in(page: Page, password: str) -> None:
    page.get_by_label("名前").fill("sato")
    page.get_by_label("パスワード").fill(password)
    page.get_by_role("button", name="ログイン", exact=True).click()


def test_a_person_logs_in_stays_so_and_leaves(page: Page) -> None:
    log_in(page, "正しい馬の電池")
    expect(page.get_by_text("sato")).to_be_visible()
    page.reload()
    box = page.get_by_label("質問", exact=True)
    box.fill("宿泊費は？")
    box.press("Enter")
    expect(page.get_by_role("article")).to_have_attribute("aria-busy", "false")
    assert "kiban-session" not in page.evaluate("document.cookie + JSON.stringify({...sessionStorage})")
    page.get_by_role("button", name="退出").click()
    expect(page.get_by_label("パスワード")).to_be_visible()
    assert page.context.cookies() == []


def test_who_comes_in_begins_at_the_name_and_is_told_what_a_token_is_where_it_goes(page: Page) -> None:
    expect(page.get_by_label("名前")).to_be_focused()
    token = page.get_by_label("アクセストークン")
    expect(token).to_have_accessible_description(
        "受け取ったアクセストークンを貼り付けてください。このタブを閉じると消えます。"
    )
    for field in (
        page.get_by_label("パスワード"),
        page.get_by_role("button", name="ログイン", exact=True),
        token,
    ):
        page.keyboard.press("Tab")
        expect(field).to_be_focused()


def test_a_wrong_password_is_said_so_and_is_not_left_in_the_field(page: Page) -> None:
    log_in(page, "間違った馬の電池")
    expect(page.get_by_role("alert")).to_contain_text("ログインできませんでした")
    expect(page.get_by_label("パスワード")).to_have_value("")
    log_in(page, "正しい馬の電池")
    expect(page.get_by_label("質問", exact=True)).to_be_visible()


def test_an_employee_logs_in_at_the_companys_provider(
    browser: Browser, postgres: Postgres, tmp_path: Path
) -> None:
    port = find_free_port()
    here = f"http://127.0.0.1:{port}"
    with running(f"{here}/login/back") as provider, browser.new_context(locale="ja-JP") as context:
        identity = Identity(
            Lent(
                tmp_path,
                postgres,
                token_issuer=provider.url,
                token_names="preferred_username",
                login_client="kiban-page",
                page_url=here,
            )
        )
        house = MemoryHouse(tmp_path / "memory", {}, lambda turns: ())
        house.caller = identity.caller  # type: ignore[method-assign]
        app = create_app(house, house.desk, house.kept, house.views, house.office, entry=identity)
        with listening(app, port):
            page = context.new_page()
            page.goto(here)
            expect(page.get_by_label("パスワード")).to_be_hidden()  # no password of theirs comes here
            page.get_by_role("button", name="会社のアカウントでログイン").click()
            page.locator("[name=login]").fill("kimura")
            page.locator("[name=password]").fill("any")
            page.locator("[type=submit]").click()
            page.locator("[type=submit]").click()  # consent
            expect(page.get_by_text("kimura")).to_be_visible()
            assert page.url == f"{here}/"
            (session,) = [one for one in context.cookies(here) if one["name"].startswith("kiban")]
            assert session["httpOnly"] and session["sameSite"] == "Strict"
            page.get_by_role("button", name="退出").click()
            expect(page.get_by_role("button", name="会社のアカウントでログイン")).to_be_visible()
            page.goto(f"{here}/login/back?code=guessed&state=guessed")
            expect(page.get_by_role("alert")).to_contain_text("ログインできませんでした")
