"""The page of those who run the house: what each role sees, what curators decide, where things came from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import Opened, opened
from playwright.sync_api import Browser, expect
from staged_office import staged_office

from kiban.errors import PartUnavailable
from services.chat.testing import MemoryHouse

VIEWS = ["概要", "フィードバック", "資料", "リリース", "判定", "回答の記録"]


@pytest.fixture
def house(tmp_path: Path) -> MemoryHouse:
    return staged_office(tmp_path)


@pytest.fixture
def office(browser: Browser, house: MemoryHouse) -> Iterator[Opened]:
    with opened(browser, house) as page:
        yield page


def enter(office: Opened, subject: str = "mori", view: str = "") -> None:
    office.enter(subject, "/operate")
    expect(office.page.get_by_role("heading", level=2)).to_be_visible()
    if view:
        office.page.get_by_role("link", name=view, exact=True).click()
        expect(office.page.get_by_role("heading", level=2)).to_have_text(view)


def test_a_long_reason_shows_its_first_sentence_and_the_rest_for_who_asks(office: Opened) -> None:
    enter(office, view="リリース")
    first, rest = (
        office.page.get_by_text("significantly better, p = 0.0004."),
        office.page.get_by_text("no leak is shown."),
    )
    expect(first).to_be_visible()
    expect(rest).to_be_hidden()
    first.click()
    expect(rest).to_be_visible()


@pytest.mark.parametrize(
    "subject, views", [("mori", VIEWS), ("ito", ["フィードバック"]), ("ops", [*VIEWS[:1], *VIEWS[2:5]])]
)
def test_each_role_sees_its_own_views(office: Opened, subject: str, views: list[str]) -> None:
    enter(office, subject)
    expect(office.page.locator(".views a")).to_have_text(views)
    office.page.goto(f"{office.url}/#")
    expect(office.page.get_by_role("link", name="運用")).to_be_visible()


def test_readers_and_strangers_see_nothing_and_no_way_here(office: Opened) -> None:
    page = office.enter("sato", "/operate")
    expect(page.get_by_text("あなたの役では、ここに見られるものがありません。")).to_be_visible()
    page.goto(office.url)
    expect(page.get_by_label("質問", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="運用")).to_have_count(0)
    page.get_by_role("button", name="退出").click()
    expect(page.get_by_label("アクセストークン")).to_be_visible()
    page.goto(f"{office.url}/operate")
    expect(page.get_by_text("まだどなたか確かめられていません。")).to_be_visible()


def test_two_curators_decide_with_the_keyboard_and_nobody_about_their_own(
    office: Opened, house: MemoryHouse
) -> None:
    enter(office, "ito")
    page = office.page
    expect(page.get_by_text("ご自身のものは、ほかの人が決めます。")).to_be_visible()
    page.get_by_role("button", name="「国内出張の宿泊費は？」を認める").press("Enter")
    expect(page.get_by_text("ito が認めた")).to_be_visible()

    enter(office, "mori", "フィードバック")
    page.get_by_role("button", name="「国内出張の宿泊費は？」を認める").press("Enter")
    expect(page.get_by_text("認められました。次の学習から使われます。")).to_be_visible()
    card = page.get_by_role("article").filter(has_text="宿泊費の上限は")
    card.get_by_label("理由").fill("別の規程による")
    card.get_by_role("button", name="を断る").click()
    expect(page.get_by_text("断りました。学習には使われません。")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="フィードバック")).to_be_visible()
    expect(page.get_by_text("待っているものはありません。")).to_be_visible()


def test_documents_by_state_with_reasons_and_no_name_that_is_not_ours_to_read(office: Opened) -> None:
    enter(office)
    page = office.page
    expect(page.locator(".tiles a").first).to_contain_text("34")
    page.get_by_role("link", name="失敗（また試す）").press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    expect(page.get_by_role("row").filter(has_text="点検表")).to_contain_text("not a zip file")
    page.get_by_role("link", name="読めない").click()
    expect(page.get_by_text("ほかに 2 件あります。")).to_be_visible()
    page.get_by_role("link", name="すべて").click()
    expect(page.get_by_text("ほかに 34 件あります。")).to_be_visible()
    assert "役員報酬" not in page.content()


def test_where_a_document_went_and_on_what_evidence(office: Opened) -> None:
    enter(office, view="資料")
    page = office.page
    page.get_by_role("link", name="旅費規程").click()
    expect(page.get_by_text("この資料を学んだ重みが、いま答えています")).to_be_visible()
    page.get_by_role("link", name="b41f09c2d7e5").click()
    expect(page.get_by_role("img", name="根拠の引用がある回答: ")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="根拠の引用がある回答")).to_contain_text("48 % → 98 %")
    registered = page.get_by_role("link", name="MLflow: kiban-adapter/3")
    assert registered.get_attribute("href") == "http://mlflow.test/#/models/kiban-adapter/versions/3"
    page.goto(f"{office.url}/operate#documents/4")  # not ours to read
    expect(page.get_by_text("ないか、あなたの読めないものです。")).to_be_visible()


def test_where_an_answer_came_from(office: Opened) -> None:
    enter(office, view="回答の記録")
    page = office.page
    page.get_by_role("link", name="1", exact=True).click()
    chain = page.locator(".chain")
    expect(chain).to_contain_text("旅費規程")
    expect(chain).to_contain_text("いまは第2版")
    expect(chain).to_contain_text("あなたの読めない資料")
    expect(chain).to_contain_text("everyone@9be1c2d4")
    expect(chain.get_by_role("link", name="b41f09c2d7e5")).to_contain_text("合格")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_part_that_fails_is_named(
    office: Opened, house: MemoryHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        raise PartUnavailable("Postgres at db1")

    monkeypatch.setattr(house.office, "overview", fails)
    office.enter("ops", "/operate")
    expect(office.page.get_by_role("alert")).to_contain_text("db1")


def test_the_release_view_in_english(office: Opened) -> None:
    enter(office, view="リリース")
    page = office.page
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Latest verdict")).to_be_visible()
    expect(page.get_by_role("img", name="Answers with a proven quotation: ")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="promoted")).to_contain_text("pass")


@pytest.mark.parametrize("scheme, width", [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_grave(browser: Browser, house: MemoryHouse, scheme: str, width: int) -> None:
    size = {"width": width, "height": 844}
    with opened(browser, house, color_scheme=scheme, viewport=size, reduced_motion="reduce") as office:
        enter(office)
        for view in VIEWS:
            office.page.get_by_role("link", name=view, exact=True).click()
            expect(office.page.get_by_role("heading", level=2)).to_have_text(view)
            expect(office.page.locator("#view")).to_have_attribute("aria-busy", "false")
            if view == "判定":
                office.page.locator("summary", has_text="b41f09c2d7e5").click()
            assert office.violations() == [], view
            assert office.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, view
