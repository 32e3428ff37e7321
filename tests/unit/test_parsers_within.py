"""What is packed in mail and archives, other formats of documents, and pictures of text."""

from __future__ import annotations

import json
import zipfile
from email.message import EmailMessage
from io import BytesIO

import files
import numpy as np
import openpyxl
import pytest
from openpyxl.comments import Comment
from PIL import Image

from kiban.backends.parsers import image, reading
from kiban.backends.parsers.dispatch import parse
from kiban.backends.parsers.order import Line, in_reading_order
from kiban.domain.document import Place, Section
from kiban.errors import BrokenFile, EmptyFile, HostileFile, UnsupportedFormat


def zipped(**members: bytes) -> bytes:
    """Return a zip of members; "__" in a name stands for ".", since names here are words."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return made.getvalue()


def test_an_archive_gives_every_file_in_it_under_its_name() -> None:
    document = parse("資料.zip", zipped(規程__docx=files.word(), 保全__xlsx=files.workbook(), 図__dwg=b"x"))
    assert document.title == "資料"
    assert document.sections[0] == Section(
        "読めないもの: 図.dwg (No parser reads this format. ending .dwg)", Place()
    )
    assert [section.place for section in document.sections[1:]] == [
        Place(heading="規程.docx > 旅費規程 > 第1章 総則", anchor="規程.docx"),
        Place(heading="規程.docx > 旅費規程 > 第2章 旅費", anchor="規程.docx"),
        Place(sheet="保全", heading="保全.xlsx", anchor="保全.xlsx#A1:C5"),
        Place(sheet="単価", heading="保全.xlsx", anchor="保全.xlsx#A2:B2"),
    ]


def test_mail_in_mail_with_an_archive_is_read_to_the_bottom() -> None:
    inner, outer = EmailMessage(), EmailMessage()
    inner["Subject"], outer["Subject"] = "見積", "Fwd: 見積"
    for message in (inner, outer):
        message.set_content("本文。")
    inner.add_attachment(
        zipped(memo__md="# 条件\n\n納期は六月。".encode()),
        maintype="application",
        subtype="zip",
        filename="添付.zip",
    )
    outer.add_attachment(inner)
    last = parse("a.eml", outer.as_bytes()).sections[-1]
    assert last.text == "納期は六月。"
    assert last.place.anchor == "見積.eml#添付.zip#memo.md"


def test_names_in_an_archive_from_windows_are_read() -> None:
    """Windows in Japan writes names in cp932, without the flag that would say UTF-8."""
    content = zipped(aaaa__txt="本文。".encode()).replace(b"aaaa.txt", "手順.txt".encode("cp932"))
    assert parse("a.zip", content).sections[0].place.anchor == "手順.txt"


@pytest.mark.parametrize(
    ("content", "error", "why"),
    [
        (zipped(a__dwg=b"x"), UnsupportedFormat, "a.dwg"),
        (zipped(), UnsupportedFormat, "empty"),
        (zipped(a__txt="本文".encode())[:-30], BrokenFile, "zip"),
    ],
)
def test_an_archive_without_anything_to_read_says_so(
    content: bytes, error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        parse("a.zip", content)


def test_archives_without_end_are_hostile() -> None:
    content = b"x"
    for _ in range(reading.MOST_DEPTH + 1):
        content = zipped(r__zip=content)
    with pytest.raises(HostileFile, match="deep"):
        parse("r.zip", content)


def test_records_in_json_are_rows_and_other_values_say_where_they_stand() -> None:
    records = [{"品番": "PPR-9087", "数": 3}, {"品番": "VLV-1", "数": None}]
    rows = "品番: PPR-9087、数: 3\n品番: VLV-1"
    assert parse("a.json", json.dumps(records).encode()).text == rows
    lines = "\n".join(json.dumps(record) for record in records)
    assert parse("a.jsonl", lines.encode()).text == rows
    nested = {"設定": {"上限": [1, True]}}
    assert parse("a.json", json.dumps(nested).encode()).text == "設定.上限: 1\n設定.上限: true"
    with pytest.raises(BrokenFile, match="not JSON"):
        parse("a.json", b"{")
    with pytest.raises(HostileFile, match="deeply"):
        parse("a.json", b"[" * 200_000)


def test_opendocument_keeps_headings_lists_and_tables() -> None:
    space = "urn:oasis:names:tc:opendocument:xmlns"
    body = (
        '<t:h t:outline-level="1">規程</t:h><t:p>総則<t:s t:c="2"/>とする。</t:p>'
        "<t:list><t:list-item><t:p>一つ</t:p></t:list-item></t:list>"
        '<b:table b:name="x"><b:table-row><b:table-cell><t:p>等級</t:p></b:table-cell>'
        "<b:table-cell><t:p>日当</t:p></b:table-cell></b:table-row><b:table-row><b:table-cell><t:p>部長</t:p>"
        "</b:table-cell><b:table-cell><t:p>3000円</t:p></b:table-cell></b:table-row></b:table>"
    )
    content = (
        f'<o:document-content xmlns:o="{space}:office:1.0" xmlns:t="{space}:text:1.0" '
        f'xmlns:b="{space}:table:1.0"><o:body><o:text>{body}</o:text></o:body></o:document-content>'
    )
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("content.xml", content)
        archive.writestr("META-INF/manifest.xml", "<m/>")
    document = parse("a.odt", made.getvalue())
    assert document.title == "規程"
    assert document.text == "総則  とする。\n・一つ\n等級: 部長、日当: 3000円"


def test_a_book_is_read_by_its_spine() -> None:
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OPS/p.opf"/></rootfiles></container>'
    )
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf"><metadata><t xmlns="http://purl.org/dc/elements/1.1/"/>'
        '<title xmlns="http://purl.org/dc/elements/1.1/">手引き</title></metadata><manifest>'
        '<item id="b" href="b.xhtml"/><item id="a" href="a.xhtml"/></manifest>'
        '<spine><itemref idref="a"/><itemref idref="b"/></spine></package>'
    )
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": container,
            "OPS/p.opf": package,
            "OPS/a.xhtml": "<html><body><p>一章。</p></body></html>",
            "OPS/b.xhtml": "<html><body><p>二章。</p></body></html>",
        }.items():
            archive.writestr(name, content)
    document = parse("a.epub", made.getvalue())
    assert document.title == "手引き"
    assert [(section.text, section.place.anchor) for section in document.sections] == [
        ("一章。", "a.xhtml"),
        ("二章。", "b.xhtml"),
    ]


def test_what_is_hidden_in_a_workbook_is_not_read_and_what_a_filter_hides_is() -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in [("氏名", "部", "給与", "室"), ("田中", "人事", 1, 8), ("鈴木", "総務", 2, 9)]:
        sheet.append(row)
    sheet.column_dimensions["C"].hidden = True
    sheet.row_dimensions[3].hidden = True
    book.create_sheet("控え")["A1"] = "秘"
    book["控え"].sheet_state = "hidden"
    assert parse("a.xlsx", files.saved(book)).text == "氏名: 田中、部: 人事、室: 8"
    sheet.auto_filter.ref = "A1:C3"
    sheet.auto_filter.add_filter_column(1, ["人事"])
    assert "氏名: 鈴木、部: 総務、室: 9" in parse("a.xlsx", files.saved(book)).text


def test_remarks_on_cells_are_kept() -> None:
    book = openpyxl.Workbook()
    for row in [("品", "数"), ("弁", 3)]:
        book.worksheets[0].append(row)
    book.worksheets[0]["B2"].comment = Comment("四月に\n見直す", "田中")
    assert parse("a.xlsx", files.saved(book)).text == "品: 弁、数: 3（コメント: 四月に 見直す）"


def test_rows_of_a_long_table_have_a_place_of_their_own() -> None:
    book = openpyxl.Workbook()
    for number in range(50):
        book.worksheets[0].append((f"品{number}", number) if number else ("品", "数"))
    places = [section.place.anchor for section in parse("a.xlsx", files.saved(book)).sections]
    assert places == ["A2:B21", "A22:B41", "A42:B50"]


def test_a_page_of_html_and_of_markdown_can_be_opened_at_its_headings() -> None:
    page = (
        '<section id="s"><h2>一</h2><p>あ</p></section><h2 id="k">二</h2><p>い</p>'
        '<h2><a name="n"></a>三</h2><p>う</p>'
    )
    assert [section.place.anchor for section in parse("a.html", page.encode()).sections] == ["s", "k", "n"]
    text = "## 第1章 総則\n\nあ\n\n## Q&A: いつ?\n\nい\n\n## 第1章 総則\n\nう\n"
    anchors = [section.place.anchor for section in parse("a.md", text.encode()).sections]
    assert anchors == ["第1章-総則", "qa-いつ", "第1章-総則-1"]


def test_bookmarks_of_a_pdf_are_headings() -> None:
    document = parse("a.pdf", files.bookmarked_pdf())
    assert [(section.text, section.place.page, section.place.heading) for section in document.sections] == [
        ("前書き。", 1, ""),
        ("総則の本文。", 1, "第1部 総則"),
        ("続き。", 2, "第1部 総則"),
        ("旅費の本文。", 2, "旅費"),
    ]
    assert document.title == "規程"


def test_labels_of_pages_are_kept() -> None:
    places = [section.place for section in parse("a.pdf", files.bookmarked_pdf(roman=True)).sections]
    assert places[0].anchor == "page=1&label=i" and places[-1].anchor == "page=2&label=ii"


def test_lines_written_downwards_are_read_from_the_right() -> None:
    columns = ["第一条この規程は、社員の", "旅費について定める。ただし、", "役員は別に定めるものとする。"]
    assert parse("a.pdf", files.vertical_pdf(columns)).text.replace("\n", "") == "".join(columns)


def test_cells_that_span_say_what_they_say_in_every_row() -> None:
    text = parse("a.pdf", files.spanning_pdf()).text
    assert text.split("\n") == [
        "設備: ポンプ、型番: PPR-9087、周期: 30日",
        "設備: ポンプ、型番: PPR-9088、周期: 45日",
    ]


def test_pictures_of_text_are_named_until_somebody_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    scan = files.scanned_pdf(pages=3)
    first = parse("a.pdf", scan)
    assert not first.sections and [place.page for place in first.unread] == [1, 2, 3]

    class Eyes:
        def lines(self, picture: np.ndarray) -> list[str]:
            assert picture.ndim == 3 and picture.shape[2] == 3
            return ["読めた行。"]

    monkeypatch.setattr(reading, "_recogniser", Eyes)
    document = parse("a.pdf", scan, pictures=2)
    assert [(section.text, section.place.anchor) for section in document.sections[:2]] == [
        ("読めた行。", "page=1&ocr"),
        ("読めた行。", "page=2&ocr"),
    ]
    assert [place.page for place in document.unread] == [3]
    in_archive = parse("a.zip", zipped(scan__png=files.picture()), pictures=1)
    assert in_archive.sections[0].place == Place(page=1, heading="scan.png", anchor="scan.png#ocr")


def test_icons_and_vast_pictures_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EmptyFile, match="10 × 10 pixels"):
        parse("a.png", files.picture(10, 10))
    monkeypatch.setattr(image, "MOST_PIXELS", 1000)
    with pytest.raises(HostileFile, match="pixels"):
        parse("a.png", files.picture())


def test_every_page_of_a_tiff_is_a_page() -> None:
    made = BytesIO()
    page = Image.new("L", (400, 300), 255)
    page.save(made, "TIFF", save_all=True, append_images=[page])
    assert [place.page for place in parse("a.tif", made.getvalue()).unread] == [1, 2]


def test_lines_found_in_a_picture_are_put_in_order() -> None:
    across = [Line("右", 200, 11, 260, 31), Line("下", 0, 50, 100, 70), Line("左", 0, 10, 60, 30)]
    assert in_reading_order(across) == ["左 右", "下"]
    down = [Line("左の行", 0, 0, 20, 100), Line("右の行", 60, 0, 80, 100), Line("中の行", 30, 0, 50, 100)]
    second = [Line("下段右", 60, 150, 80, 250), Line("下段左", 0, 150, 20, 250)]
    assert in_reading_order([*down, *second]) == ["右の行", "中の行", "左の行", "下段右", "下段左"]
    assert in_reading_order([]) == []
