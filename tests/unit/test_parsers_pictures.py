"""Pictures come out of documents small, once each, and with the place they stand in."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiban.backends.parsers.dispatch import parse
from kiban.backends.parsers.jail import JailedParser
from kiban.backends.parsers.pictures import LONGEST_SIDE
from kiban.backends.parsers.worker_process import Limits
from kiban.domain.document import ParsedDocument, Picture
from kiban.errors import EmptyFile, HostileFile
from tests.unit.drawn import BLUE, GREEN, RED, deck, drawing, page, pdf, report
from tests.unit.files import source_file

FILES = {"report.docx": report, "deck.pptx": deck, "pipes.pdf": pdf, "page.html": page}


def colour(picture: Picture) -> tuple[int, int, int]:
    """Return which of the three colours the middle of a picture is, however it was packed."""
    middle = 3 * (picture.height // 2 * picture.width + picture.width // 2)
    seen = picture.rgb[middle : middle + 3]
    return min((RED, GREEN, BLUE), key=lambda one: sum(abs(a - b) for a, b in zip(one, seen, strict=True)))


def beside(document: ParsedDocument, picture: Picture) -> str:
    """Return the text of the section that a picture stands in."""
    start = 0
    for section in document.sections:
        end = start + len(section.text)
        if picture.at <= end:
            return section.text
        start = end + 2
    raise AssertionError(picture.at)


@pytest.mark.parametrize("name", FILES)
def test_no_picture_comes_unless_asked_for_and_the_text_stays_the_same(name: str) -> None:
    content = FILES[name]()
    without, with_them = parse(name, content), parse(name, content, 0, 10)
    assert without.pictures == () != with_them.pictures
    assert with_them.sections == without.sections
    for picture in with_them.pictures:
        assert max(picture.width, picture.height) == LONGEST_SIDE
        assert len(picture.rgb) == 3 * picture.width * picture.height


def test_a_word_documents_pictures_stand_under_their_headings() -> None:
    document = parse("report.docx", report(), 0, 10)
    red, blue = document.pictures  # and no logo
    assert (colour(red), colour(blue)) == (RED, BLUE)
    assert "ポンプの構造" in beside(document, red)
    assert red.caption == "図1 ポンプの外観"
    assert beside(document, blue) == "The valve is shown below."
    assert blue.caption == "Cut through a valve"


def test_a_decks_pictures_stand_on_their_slides_and_a_repeated_one_on_its_first() -> None:
    document = parse("deck.pptx", deck(), 0, 10)
    red, blue = document.pictures
    assert [(colour(each), beside(document, each)) for each in (red, blue)] == [
        (RED, "説明その2。"),
        (BLUE, "説明その3。"),
    ]


def test_a_pdfs_pictures_stand_on_their_pages_beside_their_captions() -> None:
    document = parse("pipes.pdf", pdf(), 0, 10)
    (green,) = document.pictures
    assert colour(green) == GREEN
    assert green.caption == "図2 配管"
    assert "二ページ目" in beside(document, green)


def test_a_web_page_gives_what_it_carries_and_nothing_is_fetched() -> None:
    document = parse("page.html", page(), 0, 10)
    (blue,) = document.pictures
    assert colour(blue) == BLUE
    assert blue.caption == "冷却系統"
    assert "冷却水は青い。" in beside(document, blue)


def test_no_more_come_than_are_asked_for() -> None:
    (only,) = parse("deck.pptx", deck(), 0, 1).pictures
    assert colour(only) == RED


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_a_photograph_without_text_is_found_by_its_name(kind: str) -> None:
    name, content = f"ポンプの写真.{kind.lower()}", drawing(RED, kind=kind)
    document = parse(name, content, 0, 10)
    assert document.text == "ポンプの写真"
    assert [colour(picture) for picture in document.pictures] == [RED]
    assert parse(name, content).unread  # as before, when no picture is asked for


def test_what_shows_nothing_and_says_nothing_is_empty() -> None:
    for content in (drawing(RED, (100, 60)), b"  "):
        with pytest.raises(EmptyFile):
            parse("icon.png", content, 0, 10)


def test_a_page_with_a_broken_picture_still_gives_the_others() -> None:
    broken = page().replace(b"</body>", b'<img src="data:image/png;base64,iVBORw0KGgo="></body>')
    assert len(parse("page.html", broken, 0, 10).pictures) == 1


def test_pictures_come_out_of_the_jail_as_they_went_in(tmp_path: Path) -> None:
    with JailedParser(Limits(thumbnails=10)) as jailed, JailedParser() as without:
        for name, made in FILES.items():
            content = made()
            file = source_file(tmp_path / name, content)
            assert jailed.parse(file).pictures == parse(name, content, 0, 10).pictures
            assert without.parse(file).pictures == ()


def test_a_worker_that_sends_other_pixels_than_it_says_is_hostile(tmp_path: Path) -> None:
    with (
        JailedParser(parse="kiban.testing.hostile:exaggerate") as jailed,
        pytest.raises(HostileFile, match="sensible"),
    ):
        jailed.parse(source_file(tmp_path / "a.txt", b"x"))
