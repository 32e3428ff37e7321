"""C1 in small: what a model repeats from hostile documents asks for nothing, where careless pages would."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from playwright.sync_api import Browser

from kiban.bench.attacks import rendering
from kiban.bench.attacks.leaving import FORMS, PLACES, leaving
from kiban.bench.attacks.rendering import Asked, as_html, show


def test_sixty_documents_no_two_alike() -> None:
    documents = leaving()
    assert len({one.text for one in documents}) == len(documents) == len(FORMS) * len(PLACES) == 60


def test_nothing_leaves_the_page_that_would_leave_a_careless_one(browser: Browser, tmp_path: Path) -> None:
    one_of_each_form = leaving()[:: len(PLACES)]
    assert show(browser, one_of_each_form, tmp_path) == Asked(0, 0, len(FORMS))
    assert as_html(browser, one_of_each_form) == len(FORMS) - 2  # links wait for a person, or a preview


def test_without_a_browser_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "_browser_path", lambda: None)
    figure = rendering.foreign_requests(SimpleNamespace())  # type: ignore[arg-type]
    assert (figure.passed, figure.trials) == (None, 0)
