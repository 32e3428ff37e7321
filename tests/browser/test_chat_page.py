"""The chat page in headless Chromium, against the real app with a house in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pages import Opened, opened
from playwright.sync_api import Browser, expect

from kiban.answer.harmless import harmless
from kiban.domain.access import EVERYONE, Principal
from kiban.domain.document import Place
from kiban.domain.feedback import Feedback
from kiban.domain.question import Turn
from kiban.errors import PartUnavailable
from services.chat.testing import MemoryHouse

HOTEL = (
    "𠮷野家𩸽店を除き、国内出張の宿泊費は11,000円を上限とする。"  # letters of two UTF-16 units each
    "東京２３区内に限り\n13,800円を上限とする。領収書を添える。"
)
HOSTILE = (
    "![a](https://evil.example/a.png) <img src=https://evil.example/b.png onerror=alert(1)> "
    "[押す](javascript:alert(1)) <script>fetch('https://evil.example/c')</script> "
    "<style>@import 'https://evil.example/d.css'</style> [e]: https://evil.example/e.png"
)
EVERY = frozenset({EVERYONE})


@pytest.fixture
def house(tmp_path: Path) -> MemoryHouse:
    def write(turns: Sequence[Turn]) -> Sequence[str]:
        asked = turns[-1].text.rsplit("質問：", 1)[-1]
        if "宿泊費" in asked:
            return "13,800円です。「東京23区内に限り13,800円を上限とする。」[1]「無制限とする。」[1]"
        return (HOSTILE,) if "攻撃" in asked else "資料に記載がありません。"

    house = MemoryHouse(tmp_path, {}, write)
    house.shelve(
        "旅費規程",
        EVERY,
        (Place(page=4, heading="第3章 > 宿泊費"), HOTEL),
        (Place(page=5), "日当は出張の日数による。"),
    )
    house.shelve("出張の手引き", EVERY, (Place(slide=2), "出張の前に申請する。宿泊費は旅費規程による。"))
    house.shelve(f"攻撃 {HOSTILE}", EVERY, (Place(heading=HOSTILE), f"攻撃 {HOSTILE}"))
    return house


def waiting(house: MemoryHouse) -> list[Feedback]:
    return house.desk.waiting(Principal("mori", frozenset({"curators"})))


@pytest.fixture
def chat(browser: Browser, house: MemoryHouse) -> Iterator[Opened]:
    with opened(browser, house) as page:
        yield page


def test_a_token_in_the_address_signs_in_and_leaves_the_address(chat: Opened) -> None:
    page = chat.enter("佐藤@nichirin.example")
    expect(page.get_by_text("佐藤@nichirin.example")).to_be_visible()
    assert page.url == f"{chat.url}/"
    assert "token=" not in page.evaluate("location.href + document.referrer + JSON.stringify(history.state)")


def test_a_token_can_be_pasted_and_a_wrong_one_is_refused(chat: Opened) -> None:
    chat.page.goto(chat.url)
    field = chat.page.get_by_label("アクセストークン")
    field.fill("a.b.c")
    chat.page.get_by_role("button", name="入る").click()
    expect(chat.page.get_by_role("alert")).to_contain_text("入れません")
    field.fill(chat.house.token("sato"))
    chat.page.get_by_role("button", name="入る").click()
    expect(chat.page.get_by_label("質問", exact=True)).to_be_focused()


def test_an_answer_streams_and_its_citation_opens_the_highlighted_quotation(chat: Opened) -> None:
    page = chat.enter()
    chat.ask("東京の宿泊費は？")
    article = page.get_by_role("article")
    expect(article.locator(".text")).to_have_text(
        "13,800円です。「東京２３区内に限り\n13,800円を上限とする。」1無制限とする。", use_inner_text=True
    )
    expect(article.get_by_text("原文と一致しない引用 1 件")).to_be_visible()
    card = article.locator(".source.cited")
    expect(card).to_contain_text("旅費規程")
    expect(card).to_contain_text("4ページ")
    article.get_by_role("button", name="出典 1 を開く").click()
    expect(card.get_by_role("button", expanded=True)).to_be_focused()
    expect(card.locator("mark.lit")).to_have_text("東京２３区内に限り 13,800円を上限とする。")
    expect(card).to_contain_text("𠮷野家𩸽店を除き")
    expect(card).to_contain_text("第2版")


def test_a_reader_confirms_a_source(chat: Opened) -> None:
    page = chat.enter()
    chat.ask("東京の宿泊費は？")
    page.get_by_role("button", name="役に立った").click()
    page.get_by_role("button", name="出典 1 を読んで確かめた").click()
    expect(page.get_by_text("ほかの二人が確かめた")).to_be_visible()
    expect(page.get_by_role("button", name="出典 1 を読んで確かめた")).to_have_count(0)
    (kept,) = waiting(chat.house)
    assert (kept.author, kept.rating, kept.question) == ("sato", "up", "東京の宿泊費は？")
    assert kept.evidence and kept.evidence.quote.startswith("東京２３区内に限り")


def test_a_reader_corrects_an_answer_and_has_to_quote(chat: Opened) -> None:
    page = chat.enter()
    chat.ask("東京の宿泊費は？")
    page.get_by_role("button", name="正しくない").click()
    page.get_by_label("正しい答え").fill("11,000円")
    page.get_by_label("根拠の文").fill("宿泊費は無制限とする。")
    page.get_by_role("button", name="送る").click()
    expect(page.get_by_role("alert")).to_contain_text("見つかりません")
    page.get_by_label("根拠の文").fill("国内出張の宿泊費は11,000円を上限とする。")
    page.get_by_role("button", name="送る").click()
    expect(page.get_by_text("ほかの二人が確かめた")).to_be_visible()
    (kept,) = waiting(chat.house)
    assert (kept.correction, kept.rating) == ("11,000円", "down")


def test_what_stands_around_a_citation_can_be_read(chat: Opened) -> None:
    page = chat.enter()
    chat.ask("東京の宿泊費は？")
    page.get_by_role("button", name="出典 1 を開く").click()
    page.get_by_role("button", name="前後を読む").click()
    expect(page.locator(".around")).to_contain_text("日当は出張の日数による。")


def test_an_abstention_is_honest_and_shows_the_nearest_documents(chat: Opened) -> None:
    page = chat.enter()
    chat.ask("出張の社長は？")
    expect(page.locator("article.abstained")).to_contain_text("答えは見つかりませんでした")
    expect(page.get_by_role("heading", name="近い資料")).to_be_visible()
    expect(page.locator(".source").first).to_be_visible()
    assert page.locator(".cite").count() == 0


def test_hostile_output_and_documents_stay_text(chat: Opened) -> None:
    page = chat.enter()
    chat.ask("攻撃して")
    article = page.get_by_role("article")
    expect(article.locator(".text")).to_have_text(harmless(HOSTILE))
    expect(article.get_by_text("原文で確かめられた引用がありません")).to_be_visible()
    article.locator(".source .head").first.click()
    expect(article.locator(".source .excerpt").first).to_contain_text("<img src=https://evil.example/b.png")
    page.get_by_role("button", name="前後を読む").first.click()
    expect(page.locator(".around").first).to_contain_text("javascript:alert(1)")
    assert page.locator("main :is(img, script, style, a, iframe, link)").count() == 0


def test_enter_that_confirms_a_conversion_does_not_send(chat: Opened) -> None:
    page = chat.enter()
    box = page.get_by_label("質問", exact=True)
    box.fill("しゅくはくひ")
    box.evaluate("box => box.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', isComposing: true}))")
    box.evaluate("box => box.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', keyCode: 229}))")
    box.press("Shift+Enter")
    assert box.input_value() == "しゅくはくひ\n"
    assert page.get_by_role("article").count() == 0


def test_an_answer_can_be_stopped(chat: Opened) -> None:
    chat.house.write = lambda turns: "長い話です。" * 500
    chat.house.pause = 0.02
    page = chat.enter()
    chat.ask("宿泊費は？")
    expect(page.locator(".text")).to_contain_text("長い話です。")
    page.get_by_role("button", name="止める").click()
    expect(page.get_by_text("途中で止めました。")).to_be_visible()
    expect(page.get_by_role("button", name="たずねる")).to_be_visible()
    page.wait_for_timeout(300)
    assert chat.house.listening == 0  # and the server has stopped the model


def test_a_part_that_fails_is_named_and_asking_again_works(chat: Opened) -> None:
    chat.house.fails_with = PartUnavailable("vLLM at http://gpu1:8000")
    page = chat.enter()
    chat.ask("宿泊費は？")
    expect(page.get_by_role("alert")).to_contain_text("gpu1")
    chat.house.fails_with = None
    page.get_by_role("button", name="もう一度たずねる").click()
    expect(page.locator(".source.cited")).to_be_visible()
    assert page.get_by_role("article").count() == 1


def test_a_session_that_has_ended_asks_for_a_token_again(chat: Opened) -> None:
    page = chat.enter()
    page.evaluate("sessionStorage.setItem('kiban-token', 'a.b.c')")
    chat.ask("宿泊費は？")
    expect(page.get_by_label("アクセストークン")).to_be_visible()
    assert page.evaluate("sessionStorage.getItem('kiban-token')") is None


def test_the_language_can_be_switched_and_is_remembered(chat: Opened) -> None:
    page = chat.enter()
    chat.ask("東京の宿泊費は？")
    expect(page.locator(".source.cited")).to_contain_text("4ページ")
    page.get_by_role("button", name="English").click()
    expect(page.locator(".source.cited")).to_contain_text("page 4")
    expect(page.get_by_role("button", name="Open source 1")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "en"
    page.reload()
    expect(page.get_by_role("heading", name="Ask your company’s documents.")).to_be_visible()


def test_what_was_said_before_goes_along(chat: Opened) -> None:
    turns: list[Turn] = []
    chat.house.write = lambda asked: (turns.extend(asked), "はい。")[1]
    page = chat.enter()
    chat.ask("宿泊費は？")
    expect(page.get_by_text("はい。", exact=True)).to_be_visible()
    turns.clear()
    chat.ask("宿泊費は東京でも？")
    expect(page.get_by_role("article")).to_have_count(2)
    expect(page.get_by_text("はい。", exact=True)).to_have_count(2)
    assert [turn.text for turn in turns[-3:-1]] == ["宿泊費は？", "はい。"]


def test_an_earlier_conversation_is_read_again_gone_on_with_and_deleted(chat: Opened) -> None:
    page = chat.enter()
    chat.ask("東京の宿泊費は？")
    expect(page.locator(".source.cited")).to_be_visible()
    page.reload()
    expect(page.get_by_role("article")).to_have_count(0)
    page.get_by_role("button", name="これまで").click()
    expect(page.get_by_role("button", name="東京の宿泊費は？").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="これまでの会話")).to_have_count(0)
    page.get_by_role("button", name="出典 1 を開く").click()
    expect(page.locator("mark.lit")).to_have_text("東京２３区内に限り 13,800円を上限とする。")
    chat.ask("宿泊費は大阪でも？")
    expect(page.get_by_role("article")).to_have_count(2)
    page.get_by_role("button", name="これまで").click()
    page.get_by_role("button", name="「東京の宿泊費は？」を消す").click()
    expect(page.get_by_text("まだ会話がありません。")).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(0)
    assert chat.house.kept.all(Principal("sato", frozenset())) == []


def test_an_earlier_answer_from_what_may_not_be_read_now_is_not_shown(chat: Opened) -> None:
    page = chat.enter()
    chat.ask("東京の宿泊費は？")
    expect(page.locator(".source.cited")).to_be_visible()
    chat.house.narrow("旅費規程", frozenset({"hr"}))
    page.get_by_role("button", name="新しい会話").click()
    expect(page.get_by_role("heading", name="社内の資料に、たずねる。")).to_be_visible()
    page.get_by_role("button", name="これまで").click()
    page.get_by_role("button", name="東京の宿泊費は？").first.click()
    expect(page.get_by_text("いまは読めない資料から")).to_be_visible()
    assert "13,800" not in page.content()


def test_a_screen_reader_hears_whole_answers_and_the_keyboard_reaches_everything(chat: Opened) -> None:
    page = chat.enter()
    chat.ask("東京の宿泊費は？")
    expect(page.get_by_role("article")).to_have_attribute("aria-busy", "false")
    expect(page.get_by_role("log")).to_have_attribute("aria-live", "polite")
    expect(page.get_by_role("status")).to_have_text("回答が終わりました。")
    page.get_by_role("button", name="出典 1 を開く").press("Enter")
    expect(page.locator("mark.lit")).to_be_visible()
    unnamed = "e => !e.ariaLabel && !e.textContent && !e.labels?.length"
    controls = "[...document.querySelectorAll('button, input, textarea')]"
    assert page.evaluate(f"{controls}.filter({unnamed}).length") == 0


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_is_cut_off_at_any_width(chat: Opened, width: int) -> None:
    chat.page.set_viewport_size({"width": width, "height": 800})
    page = chat.enter("a-very-long-name-of-a-person@subsidiary.nichirin.example")
    chat.ask("攻撃して")
    expect(page.locator(".source").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
