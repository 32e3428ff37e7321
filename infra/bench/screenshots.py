"""`python infra/bench/screenshots.py FOLDER`: chat.png and operate.png, as the README shows them.

The pages and the demo's documents are the real ones, and the sheet of paper is drawn by the real drawer; the
model and what stands in the office are staged. Needs what the tests need (make setup-tests) and Chromium.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from pages import CHROMIUM, QUIET  # noqa: E402
from playwright.sync_api import Browser, Page, expect, sync_playwright  # noqa: E402
from staged_office import staged_office  # noqa: E402

from kiban.backends.parsers.dispatch import parse  # noqa: E402
from kiban.backends.parsers.page_drawer import PageDrawer  # noqa: E402
from kiban.domain.access import EVERYONE  # noqa: E402
from kiban.domain.question import Turn  # noqa: E402
from services.chat.testing import MemoryHouse, serving  # noqa: E402

DOCUMENTS = ROOT / "infra/demo/documents/company"
POLICY = "情報セキュリティ方針.pdf"
QUOTED = "情報セキュリティ事故に気付いた者は、30分以内に通報用番号6119へ電話する。"
ALSO = "事故の再発防止策は、発生から27日以内にまとめなければならない。"
QUESTION = "情報セキュリティの事故に気付いたら、どうすればよいですか。"
ANSWER = (
    f"30分以内に、通報用番号の6119へ電話してください。「{QUOTED}」[1]"
    f"再発を防ぐ策は、27日以内にまとめます。「{ALSO}」[1]"
)


def main(folder: Path) -> None:
    assert CHROMIUM, "no Chromium on PATH"
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as keys:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = _page(browser)
        _chat(page, Path(keys), folder / "chat.png")
        _office(page, Path(keys), folder / "operate.png")
        browser.close()


def _page(browser: Browser) -> Page:
    return browser.new_context(locale="ja-JP", viewport={"width": 1200, "height": 780}).new_page()


def _chat(page: Page, keys: Path, picture: Path) -> None:
    def write(turns: Sequence[Turn]) -> Sequence[str]:
        return (ANSWER,)

    house = MemoryHouse(keys, {}, write)
    every = frozenset({EVERYONE})
    for name in (POLICY, "visitor-safety.md", "it-guide.md"):
        parsed = parse(name, (DOCUMENTS / name).read_bytes(), 0, 0)
        sections = [(section.place, section.text) for section in parsed.sections]
        house.shelve(parsed.title, every, *sections, uri=f"company/{name}")
    drawer = PageDrawer()
    house.views.pages = {1: drawer.draw(DOCUMENTS / POLICY, 1, QUOTED)}
    drawer.close()
    with serving(house) as url:
        page.goto(f"{url}/#token={house.token('sato')}")
        page.get_by_label("質問", exact=True).fill(QUESTION)
        page.keyboard.press("Enter")
        page.get_by_role("button", name="出典 1 を開く").first.click()
        expect(page.locator(".seen canvas")).to_be_visible()
        page.mouse.move(600, 600)
        page.screenshot(path=picture)


def _office(page: Page, keys: Path, picture: Path) -> None:
    house = staged_office(keys)
    with serving(house) as url:
        page.goto(f"{url}/operate#token={house.token('mori')}")
        page.get_by_role("link", name="リリース", exact=True).click()
        expect(page.locator(".chart svg").first).to_be_visible()
        page.screenshot(path=picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
