"""Pictures of text, read by the real models in the real jail."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image

from kiban.backends.parsers.jail import NOTICE, JailedParser
from kiban.errors import EmptyFile
from tests.unit import files

LINES = ["Pump PPR-9087 is inspected every 30 days.", "Replace the seal after 4500 hours."]


@pytest.fixture(scope="module")
def scan() -> bytes:
    """A page of Latin text as a picture: pdfium has a face for it on every machine."""
    page = pypdfium2.PdfDocument(files.latin_pdf(LINES))[0]
    made = BytesIO()
    picture: Image.Image = page.render(scale=2).to_pil().convert("RGB")
    picture.crop((100, 80, 900, 260)).save(made, "PNG")
    return made.getvalue()


def test_a_scan_is_read_in_the_jail_and_its_place_says_how(scan: bytes, tmp_path: Path) -> None:
    file = files.source_file(tmp_path / "scan.png", scan)
    with JailedParser(pictures=1) as parser:
        document = parser.parse(file)
    assert [re.sub(r"\W", "", line) for line in document.text.split("\n")] == [
        re.sub(r"\W", "", line) for line in LINES
    ]
    assert document.sections[0].place.anchor == "ocr" and not document.unread


def test_without_ocr_a_scan_says_why_it_is_not_read(scan: bytes, tmp_path: Path) -> None:
    with JailedParser() as parser, pytest.raises(EmptyFile, match="OCR is off"):
        parser.parse(files.source_file(tmp_path / "scan.png", scan))


def test_what_was_read_is_kept_when_the_pictures_take_too_much(scan: bytes, tmp_path: Path) -> None:
    """A mail with a scan, whose recogniser dies: the mail's own words are not lost."""
    file = files.source_file(tmp_path / "a.eml", files.mail_with("scan.png", scan))
    with JailedParser(pictures=1) as parser:
        assert parser._recogniser is not None
        parser._recogniser._parse = "kiban.testing.hostile:crash"
        document = parser.parse(file)
    assert document.text.startswith("件名: 点検")
    assert document.sections[-1].text == f"{NOTICE}: p. 1"
