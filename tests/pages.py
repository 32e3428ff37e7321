"""Pages in headless Chromium: what a test drives, and what it asked of the network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from playwright.sync_api import Browser, Page

from services.chat.testing import MemoryHouse, serving

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
).split()
AXE = "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']})"
GRAVE = ("serious", "critical")


@dataclass
class Opened:
    """A page of a served house."""

    page: Page
    url: str
    house: MemoryHouse
    requests: list[str] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    def enter(self, subject: str = "sato", path: str = "/") -> Page:
        self.page.goto("about:blank")  # where only what follows the # changes, no page is loaded
        self.page.goto(f"{self.url}{path}#token={self.house.token(subject)}")
        return self.page

    def ask(self, question: str) -> None:
        box = self.page.get_by_label("質問", exact=True)
        box.fill(question)
        box.press("Enter")

    def foreign(self) -> list[str]:
        own = (self.url, f"blob:{self.url}")
        return [url for url in self.requests if not url.startswith(own)]

    def violations(self) -> list[str]:
        """Return what axe finds grave in the page as it is now: the rule, and the first element."""
        self.page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
        found: list[dict[str, Any]] = self.page.evaluate(AXE)["violations"]
        return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in GRAVE]


@contextmanager
def opened(browser: Browser, house: MemoryHouse, **context: Any) -> Iterator[Opened]:
    """Serve a house and open a window on it. Raises if something foreign was asked for, or a script fails."""
    with serving(house) as url, browser.new_context(locale="ja-JP", **context) as window:
        page = window.new_page()
        seen = Opened(page, url, house)
        page.on("request", lambda request: seen.requests.append(request.url))
        page.on("pageerror", lambda error: seen.mistakes.append(str(error)))
        page.on("dialog", lambda dialog: seen.mistakes.append(dialog.message))
        yield seen
        assert seen.foreign() == []
        assert seen.mistakes == []
