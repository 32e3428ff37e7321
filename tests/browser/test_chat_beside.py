"""What stands beside an answer on the chat page; and everybody can use it, bright or dark, wide or narrow."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pages import Opened, opened
from PIL import Image
from playwright.sync_api import Browser, expect

from kiban.domain.access import EVERYONE
from kiban.domain.document import Place
from kiban.domain.question import Turn
from kiban.domain.standing import Stale
from services.chat.testing import MemoryHouse

EVERY = frozenset({EVERYONE})
HOTEL = "国内出張の宿泊費は11,000円を上限とする。東京２３区内に限り13,800円を上限とする。"
QUOTED = "13,800円です。「東京23区内に限り13,800円を上限とする。」[1]"


def write(turns: Sequence[Turn]) -> Sequence[str]:
    return (QUOTED,) if "宿泊費" in turns[-1].text.rsplit("質問：", 1)[-1] else ("資料に記載がありません。",)


@pytest.fixture
def house(tmp_path: Path) -> MemoryHouse:
    house = MemoryHouse(tmp_path, {"sato": frozenset({"staff"})}, write)
    house.shelve("旅費規程", EVERY, (Place(page=2, heading="宿泊費"), HOTEL), uri="rules/旅費規程.pdf")
    readers = frozenset({"staff", "merger"})
    house.shelve("手引き", readers, (Place(slide=2), "出張と宿泊費の手引き。"), uri="guides/手引き.pptx")
    house.shelve("宿泊先", EVERY, (Place(sheet="東京"), "宿泊費 品川"), uri="rules/宿泊先.xlsx")
    return house


@pytest.fixture
def chat(browser: Browser, house: MemoryHouse) -> Iterator[Opened]:
    with opened(browser, house, permissions=["clipboard-read", "clipboard-write"]) as page:
        yield page


def marked_page() -> bytes:
    """Return paper with a mark at its lower right."""
    picture, out = Image.new("RGB", (400, 560), "white"), io.BytesIO()
    picture.paste((251, 226, 122), (300, 400, 380, 420))
    picture.save(out, "PNG")
    return out.getvalue()


def test_a_citation_opens_the_page_and_scrolls_to_the_mark(chat: Opened) -> None:
    chat.house.views.pages = {2: marked_page()}
    page = chat.enter()
    chat.ask("東京の宿泊費は？")
    page.get_by_role("button", name="出典 1 を開く").click()
    seen = page.get_by_role("region", name="旅費規程、2ページ")
    expect(seen.get_by_role("img")).to_be_visible()
    assert seen.evaluate("it => it.scrollTop > 100 && it.scrollLeft > 50")
    assert "start=23&end=46" in next(
        url for url in chat.requests if "/pages/2?" in url
    )  # the quotation's place
    page.get_by_role("button", name="大きく見る").press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="大きく見る")).to_be_focused()


def test_a_page_that_cannot_be_drawn_leaves_the_text(chat: Opened) -> None:
    page = chat.enter()
    chat.ask("東京の宿泊費は？")
    page.get_by_role("button", name="出典 1 を開く").click()
    expect(page.get_by_text("このページは、いまは描けません。")).to_be_visible()
    expect(page.locator("mark.lit")).to_have_text("東京２３区内に限り13,800円を上限とする。")


def test_why_a_source_is_shown_and_who_else_reads_it(chat: Opened) -> None:
    page = chat.enter()
    chat.ask("東京の宿泊費は？")
    page.get_by_text("ほかに読んだ資料").click()
    page.locator(".source .head", has_text="手引き").click()
    why = page.locator(".source", has_text="手引き").locator(".why")
    expect(why).to_contain_text("意味の近さ（")
    expect(why).to_contain_text("staff の人と、ほか 1 グループの人")
    assert "merger" not in page.content()
    page.get_by_role("button", name="English").click()
    expect(why).to_contain_text("members of staff and of 1 other group")


def test_a_stale_source_is_told_under_the_answer_and_at_the_source(chat: Opened) -> None:
    chat.house.views.stale = {"旅費規程": (Stale.UNREACHED, Stale.OLD)}
    page = chat.enter()
    chat.ask("東京の宿泊費は？")
    expect(page.get_by_text("出典 1 は最新ではないおそれがあります。")).to_be_visible()
    card = page.locator(".source.cited")
    expect(card).to_contain_text("出所には")
    expect(card).to_contain_text("いまも正しいか、お確かめください。")


def test_a_question_is_narrowed_and_the_button_says_to_what(chat: Opened) -> None:
    page = chat.enter()
    page.get_by_role("button", name="範囲：読める資料すべて").press("Enter")
    expect(page.get_by_label("出所")).to_be_focused()
    page.get_by_label("フォルダー").select_option("guides/")
    page.get_by_label("更新日：から").fill("2026-01-01")
    page.get_by_role("button", name="決める").press("Enter")
    expect(page.get_by_role("button", name="範囲：guides/・2026-01-01–")).to_be_focused()
    with page.expect_request("**/chat/completions") as asked:
        chat.ask("宿泊費は？")
    scope = asked.value.post_data_json["scope"]
    assert scope["under"] == "guides/" and scope["modified_from"].startswith("202")
    page.get_by_role("button", name="範囲：guides/").click()
    expect(page.get_by_label("出所")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_label("出所")).to_be_hidden()
    page.get_by_role("button", name="範囲：guides/").click()
    page.get_by_role("button", name="範囲をなくす").click()
    expect(page.get_by_role("button", name="範囲：読める資料すべて")).to_be_visible()


def test_where_nothing_is_near_the_page_says_so(chat: Opened) -> None:
    page = chat.enter()
    chat.ask("ＸＹＺ")
    expect(page.locator("article.abstained")).to_contain_text("これに近いものはありませんでした")
    expect(page.locator(".source")).to_have_count(0)


def test_an_answer_is_copied_with_its_sources(chat: Opened) -> None:
    page = chat.enter()
    chat.ask("東京の宿泊費は？")
    page.get_by_role("button", name="出典とともに写す").click()
    expect(page.get_by_role("button", name="写しました")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(
        "13,800円です。「東京２３区内に限り13,800円を上限とする。」[1]\n\n出典\n[1] 旅費規程 (2ページ"
    )
    assert "rules/旅費規程.pdf\n    「東京２３区内に限り" in copied


def test_brightness_is_chosen_and_remembered(chat: Opened) -> None:
    page = chat.enter()
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("button", name="暗く").click()
    dark = page.evaluate(paper)
    assert dark != light
    page.reload()
    expect(page.get_by_role("button", name="明るく")).to_be_visible()
    assert page.evaluate(paper) == dark


@pytest.mark.parametrize("scheme, width", [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_grave(browser: Browser, house: MemoryHouse, scheme: str, width: int) -> None:
    house.views.pages, house.views.stale = {2: marked_page()}, {"旅費規程": (Stale.OLD,)}
    size = {"width": width, "height": 844}
    with opened(browser, house, color_scheme=scheme, viewport=size, reduced_motion="reduce") as chat:
        chat.page.goto(chat.url)
        expect(chat.page.get_by_label("アクセストークン")).to_be_visible()
        assert chat.violations() == []
        page = chat.enter()
        page.reload()
        assert chat.violations() == []
        chat.ask("東京の宿泊費は？")
        page.get_by_role("button", name="出典 1 を開く").click()
        expect(page.get_by_role("img", name="旅費規程、2ページ")).to_be_visible()
        page.get_by_role("button", name="役に立った").click()
        page.get_by_role("button", name="範囲：").click()
        page.get_by_role("button", name="これまで").click()
        assert chat.violations() == []
        page.get_by_role("button", name="English").click()
        chat.page.get_by_label("Question", exact=True).fill("出張の社長は？")
        page.keyboard.press("Enter")
        expect(page.locator("article.abstained")).to_be_visible()
        page.get_by_role("button", name="Not right").click()
        assert chat.violations() == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
