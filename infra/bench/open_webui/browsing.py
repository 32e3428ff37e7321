"""What a person sees in Open WebUI's page."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pages import CHROMIUM, QUIET
from playwright.sync_api import Page, expect, sync_playwright
from running import MAIL, PASSWORD, SENTENCE

QUESTION = "国内出張の宿泊費はいくらですか。"
SETTLED = 6_000  # ms in which the page asks for a title, tags and what may be asked next


@dataclass
class Seen:
    """What the page showed, and which addresses of others it asked for."""

    models: list[str] = field(default_factory=list)
    pieces: int = 0  # lengths of the answer that were seen while it was written
    source: str = ""
    foreign: list[str] = field(default_factory=list)


def ask_in_browser(url: str, picture: Path | None) -> Seen:
    """Sign in, pick the model "kiban", ask, and open the sources. Raises where one of them cannot be done."""
    assert CHROMIUM, "no Chromium on PATH"
    own, seen = (url, f"blob:{url}", "data:"), Seen()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_context(locale="ja-JP", viewport={"width": 1200, "height": 620}).new_page()
        page.on("request", lambda one: None if one.url.startswith(own) else seen.foreign.append(one.url))
        _sign_in(page, url)
        _pick(page, seen)
        _ask(page, seen)
        page.wait_for_timeout(SETTLED)
        if picture:
            page.screenshot(path=picture)
        browser.close()
    return seen


def _sign_in(page: Page, url: str) -> None:
    page.goto(f"{url}/auth")
    page.locator("input[type=email]").fill(MAIL)
    page.locator("input[type=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="OK、始めましょう").click()  # what is new in this version


def _pick(page: Page, seen: Seen) -> None:
    page.get_by_role("button", name="選択したモデル").click()
    offered = page.locator("[data-value]").filter(has_text="kiban")
    expect(offered.first).to_be_visible()
    seen.models += [text.split()[0] for text in offered.all_inner_texts()]
    offered.first.click()


def _ask(page: Page, seen: Seen) -> None:
    page.locator("#chat-input").click()
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    answer = page.locator("#response-content-container").last
    lengths = set[int]()
    while SENTENCE not in (text := answer.inner_text()):
        lengths.add(len(text))
        page.wait_for_timeout(50)
    seen.pieces = len(lengths) + 1
    page.get_by_role("button", name="件のソース").click()
    mark = answer.get_by_role("button", name="旅費規程").first
    expect(mark).to_be_visible()
    seen.source = mark.inner_text()
