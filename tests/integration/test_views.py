"""What stands beside an answer: pages drawn, documents that are stale, and what a question is narrowed to."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_house import LIMIT, SmallHouse, write_pdf

from kiban.backends.parsers.page_drawer import PageDrawer
from kiban.backends.postgres.connect import Postgres
from kiban.domain.access import EVERYONE, Audience, Principal
from kiban.domain.document import Document, DocumentState
from kiban.domain.question import Choice, Passage
from kiban.domain.standing import Patience, Readers, Stale
from kiban.domain.text import Span
from kiban.errors import BrokenFile, GoneMeanwhile, UnsupportedFormat
from kiban.retrieve.standing import stand
from kiban.wiring.views import Views

SATO, MORI = Principal("sato", frozenset()), Principal("mori", frozenset({"hr"}))
NOW = datetime(2026, 11, 25, tzinfo=UTC)
PATIENCE = Patience(unreached=timedelta(hours=48), old=timedelta(days=1000))
FRESH = Document(
    1, "s", "a.md", "a", 1, "", Audience(frozenset({EVERYONE})), DocumentState.READY, NOW, modified=NOW
)


@pytest.fixture
def house(tmp_path: Path, postgres: Postgres) -> Iterator[SmallHouse]:
    house = SmallHouse(tmp_path, postgres)
    yield house
    house.close()


def quoted(passages: list[Passage]) -> Span:
    """Return the place of LIMIT in its document."""
    for passage in passages:
        text = passage.original.replace("\n", "")
        if (at := text.find(LIMIT)) >= 0:
            return Span(passage.span.start + at, passage.span.start + at + len(LIMIT))
    raise AssertionError(passages)


def marked(png: bytes) -> int:
    """Count the pixels of marked paper."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    return int(((pixels[:, :, 0] > 200) & (pixels[:, :, 2] < 150)).sum())


def test_a_page_is_drawn_with_the_quotation_marked_for_whom_it_is(house: SmallHouse) -> None:
    views, travel = Views(house.furniture), house.document("rules/travel.pdf")
    span = quoted(house.furniture.index.read(SATO, travel.id))
    second = views.page(travel.id, 1, 2, span, SATO)
    assert second.startswith(b"\x89PNG") and marked(second) > 1000
    assert marked(views.page(travel.id, 1, 1, span, SATO)) == 0  # it stands on the other page
    with pytest.raises(BrokenFile):
        views.page(travel.id, 1, 3, span, SATO)

    (house.folder / "rules" / ".readers.yaml").write_text("readers: [hr]")
    house.ingest()
    with pytest.raises(GoneMeanwhile):
        views.page(travel.id, 1, 2, span, SATO)
    assert views.page(travel.id, 1, 2, span, MORI) == second


def test_a_page_of_another_content_than_was_read_is_not_shown(house: SmallHouse) -> None:
    views, travel = Views(house.furniture), house.document("rules/travel.pdf")
    with pytest.raises(GoneMeanwhile):
        views.page(travel.id, 2, 1, Span(0, 0), SATO)
    original = house.folder / "rules/travel.pdf"
    original.write_bytes(original.read_bytes() + b"\n% changed")
    with pytest.raises(GoneMeanwhile):
        views.page(travel.id, 1, 1, Span(0, 0), SATO)
    with pytest.raises(UnsupportedFormat):
        views.page(house.document("pay/pay.md").id, 1, 1, Span(0, 0), MORI)


def test_no_page_is_drawn_on_which_policy_veils_something(house: SmallHouse, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[[veiled]]\nkinds = ["phone number"]\nshown_to = ["hr"]\n', "utf-8")
    house.furniture.settings = house.furniture.settings.model_copy(update={"policy": policy})
    views, travel = Views(house.furniture), house.document("rules/travel.pdf")
    with pytest.raises(UnsupportedFormat):
        views.page(travel.id, 1, 2, Span(0, 0), SATO)
    assert views.page(travel.id, 1, 2, Span(0, 0), MORI).startswith(b"\x89PNG")


def test_quotations_are_found_however_they_are_broken_and_however_wide(tmp_path: Path) -> None:
    write_pdf(tmp_path / "a.pdf")
    drawer = PageDrawer()
    try:
        whole = marked(drawer.draw(tmp_path / "a.pdf", 2, "東京23区内に限り 13,800円を上限とする。"))
        half = marked(drawer.draw(tmp_path / "a.pdf", 2, "13,800円を上限とする。"))
        assert whole > 1.5 * half > 0
        assert marked(drawer.draw(tmp_path / "a.pdf", 2, "無制限とする。")) == 0
    finally:
        drawer.close()


def test_choices_and_standing_are_of_what_one_may_read(house: SmallHouse) -> None:
    views = Views(house.furniture)
    travel, pay = house.document("rules/travel.pdf"), house.document("pay/pay.md")
    assert views.choices(SATO).folders == (Choice("rules/", 1),)
    assert views.choices(SATO).formats == (Choice("pdf", 1),)
    assert views.choices(MORI).folders == (Choice("pay/", 1), Choice("rules/", 1))
    assert views.choices(MORI).sources == (Choice(travel.source, 2),)
    assert [one.document.uri for one in views.standing([travel.id, pay.id], SATO)] == [travel.uri]
    (one,) = views.standing([pay.id], MORI)
    assert (one.readers, one.stale) == (Readers(False, ("hr",), 0), ())

    long_ago = (datetime.now(UTC) - timedelta(days=2000)).timestamp()
    os.utime(house.folder / "pay/pay.md", (long_ago, long_ago))
    house.ingest()
    (one,) = views.standing([pay.id], MORI)
    assert one.stale == (Stale.OLD,)


@pytest.mark.parametrize(
    "document, surveyed, stale",
    [
        (FRESH, NOW - timedelta(hours=47), ()),
        (FRESH, NOW - timedelta(hours=49), (Stale.UNREACHED,)),
        (FRESH, None, (Stale.UNREACHED,)),
        (replace(FRESH, modified=NOW - timedelta(days=1001)), NOW, (Stale.OLD,)),
        (replace(FRESH, modified=None), NOW, ()),
        (replace(FRESH, state=DocumentState.WAITING), NOW, (Stale.REVISED,)),
    ],
)
def test_what_makes_a_document_stale(
    document: Document, surveyed: datetime | None, stale: tuple[Stale, ...]
) -> None:
    assert stand(document, surveyed, SATO, NOW, PATIENCE).stale == stale


def test_groups_of_others_are_counted_and_not_named() -> None:
    audience = Audience(frozenset({"hr", "merger", "board"}))
    assert Readers.told(audience, MORI) == Readers(False, ("hr",), 2)
