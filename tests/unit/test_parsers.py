"""What each parser reads, and why files are refused."""

from __future__ import annotations

from email.message import EmailMessage
from io import BytesIO

import files
import openpyxl
import pytest

from kiban.backends.parsers.dispatch import parse
from kiban.backends.parsers.outline import heading_level, table_lines
from kiban.backends.parsers.reflow import reflow
from kiban.domain.document import ParsedDocument, Place, Section
from kiban.errors import (
    BrokenFile,
    DocumentError,
    EmptyFile,
    EncryptedFile,
    HostileFile,
    UnsupportedFormat,
)


@pytest.fixture
def read():  # type: ignore[no-untyped-def]
    def read(name: str, content: str | bytes) -> ParsedDocument:
        return parse(name, content if isinstance(content, bytes) else content.encode())

    return read


def test_markdown_keeps_headings_lists_tables_and_code(read) -> None:
    document = read(
        "a.md",
        "# 就業規則\n\n前文。\n\n## 休暇\n\n- 年次は20日\n- 夏季は3日\n\n"
        "| 区分 | 日数 |\n|--|--|\n| 慶弔 | 5 |\n\n```\nleave --apply\n```\n\n<p>HTML の段落</p>\n",
    )
    assert document == ParsedDocument(
        "就業規則",
        (
            Section("前文。", Place()),
            Section(
                "・年次は20日\n・夏季は3日\n区分: 慶弔、日数: 5\nleave --apply\nHTML の段落",
                Place(heading="休暇", anchor="休暇"),
            ),
        ),
    )


def test_markdown_joins_lines_that_its_author_wrapped(read) -> None:
    assert (
        read("a.md", "旅費は\n実費とする。\n\nThe fare is\npaid.").sections[0].text
        == "旅費は実費とする。\nThe fare is paid."
    )


def test_markdown_front_matter_names_the_title(read) -> None:
    document = read(
        "a.md", '---\ntitle: "保全手順"\nowner: x\n---\n## 点検\n毎月行う。\n## 交換\n毎年行う。\n'
    )
    assert document.title == "保全手順"
    assert [section.place.heading for section in document.sections] == ["点検", "交換"]


def test_html_drops_navigation_and_keeps_the_rest(read) -> None:
    document = read(
        "a.html",
        "<html><head><title>社内ポータル</title><style>p{}</style></head><body><nav>ホーム</nav>"
        "<h2>VPN</h2><p>接続は<b>夜間</b>も可。</p><ol><li>起動する</li><li>接続する</li></ol>"
        "<table><tr><th>拠点</th><th>内線</th></tr><tr><td>大阪</td><td>2201</td></tr></table>"
        "<h2>印刷</h2><p>一行目<br>二行目</p><script>track()</script><footer>著作権</footer></body></html>",
    )
    assert document.title == "社内ポータル"
    assert document.sections == (
        Section("接続は夜間も可。\n1. 起動する\n2. 接続する\n拠点: 大阪、内線: 2201", Place(heading="VPN")),
        Section("一行目\n二行目", Place(heading="印刷")),
    )


def test_html_repeats_a_cell_in_the_rows_it_spans(read) -> None:
    document = read(
        "a.html",
        "<table><tr><th>設備</th><th>型</th></tr>"
        "<tr><td rowspan=2>ポンプ</td><td>A</td></tr><tr><td>B</td></tr></table>",
    )
    assert document.sections[0].text == "設備: ポンプ、型: A\n設備: ポンプ、型: B"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932", "euc_jp", "iso2022_jp", "utf-16"])
def test_csv_reads_every_japanese_character_set(read, encoding: str) -> None:
    document = read("部品.csv", "品番,品名,数量\r\nPPR-9087,ポンプ,3\r\nVLV-1,仕切弁,\r\n".encode(encoding))
    assert document.title == "部品"
    assert document.sections[0].text == "品番: PPR-9087、品名: ポンプ、数量: 3\n品番: VLV-1、品名: 仕切弁"


def test_tsv_and_semicolons_are_told_from_commas(read) -> None:
    assert read("a.tsv", "a\tb\n1,5\t2\n").sections[0].text == "a: 1,5、b: 2"
    assert read("a.csv", "a;b\n1,5;2\n").sections[0].text == "a: 1,5、b: 2"


@pytest.mark.parametrize("text", ["宿泊費は一泊12,000円までとする。", "ﾎﾟﾝﾌﾟの点検記録", "①手順書"])
def test_short_cp932_text_is_not_taken_for_chinese(read, text: str) -> None:
    assert read("a.txt", text.encode("cp932")).sections[0].text == text


def test_one_damaged_byte_costs_one_character(read) -> None:
    content = "宿泊費は実費とする。".encode() * 4
    assert read("a.txt", content[:3] + b"\xff" + content[4:]).sections[0].text.startswith("宿\ufffd")
    with pytest.raises(BrokenFile, match=r"binary|character set"):
        read("a.txt", bytes(range(256)) * 4)


def test_plain_text_finds_the_articles_of_regulations(read) -> None:
    document = read(
        "a.txt", "第3章 旅費\n第6条（宿泊費）\n宿泊費は実費とする。\n第7条 前条の額は、別に定める。\n"
    )
    assert document.sections == (
        Section("宿泊費は実費とする。\n第7条 前条の額は、別に定める。", Place(heading="第6条（宿泊費）")),
    )
    assert document.title == "第3章 旅費"


def test_plain_text_is_named_by_a_first_line_that_stands_alone(read) -> None:
    document = read("memo.txt", "防災計画\n\n総務部\n1. 地震\n０．５秒で止まる。\n2. 火災\n窓を閉める。\n")
    assert document == ParsedDocument(
        "防災計画",
        (
            Section("総務部", Place()),
            Section("０．５秒で止まる。", Place(heading="1. 地震")),
            Section("窓を閉める。", Place(heading="2. 火災")),
        ),
    )


def test_a_numbered_list_is_no_row_of_headings(read) -> None:
    steps = "手順は次による。\n1. 電源を切る\n2. 弁を閉める\n3. 排水する\n以上で終わる。"
    assert read("a.txt", steps).sections == (Section(steps, Place()),)


def test_numbers_of_headings_say_what_stands_under_what(read) -> None:
    document = read(
        "a.txt", "1. 記録\n1.1 様式\n別紙による。\n1.2 保管\n五年とする。\n2. 附則\n四月に施行する。\n"
    )
    assert [section.place.heading for section in document.sections] == [
        "1. 記録 > 1.1 様式",
        "1. 記録 > 1.2 保管",
        "2. 附則",
    ]


def test_word_keeps_order_headings_and_tables(read) -> None:
    document = read("a.docx", files.word())
    assert document.title == "旅費規程"
    assert document.sections == (
        Section("この規程は出張の旅費を定める。", Place(heading="第1章 総則")),
        Section(
            "等級: 部長、日当: 3000円、宿泊費: 14000円\n等級: 一般、日当: 2000円、宿泊費: 9800円\n"
            "表の額を上限とする。",
            Place(heading="第2章 旅費"),
        ),
    )


def test_workbook_fills_merged_cells_and_names_sheets(read) -> None:
    document = read("a.xlsx", files.workbook())
    assert document.sections == (
        Section(
            "設備一覧\n設備: ポンプ、型番: PPR-9087、周期: 30\n設備: ポンプ、型番: PPR-9088、周期: 45",
            Place(sheet="保全", anchor="A1:C5"),
        ),
        Section("部品: 弁、率: 25%", Place(sheet="単価", anchor="A2:B2")),
    )


def test_tables_side_by_side_are_read_one_after_the_other(read) -> None:
    book = openpyxl.Workbook()
    for row in [("型", "数", None, "部", "人"), ("A", 1, None, "人事", 7), ("B", 2, None, "総務", 9)]:
        book.active.append(row)
    book.active["A9"], book.active["C9"] = "合計", 3
    made = BytesIO()
    book.save(made)
    assert read("a.xlsx", made.getvalue()).sections[0].text == (
        "型: A、数: 1\n型: B、数: 2\n部: 人事、人: 7\n部: 総務、人: 9\n合計: 3"
    )


def test_slides_keep_notes_tables_and_numbers(read) -> None:
    document = read("a.pptx", files.deck())
    assert document.sections == (
        Section("静音ポンプ。", Place(slide=1, heading="新製品の紹介")),
        Section(
            "四月に発売する。\n月: 四月、台数: 120\nノート: 価格は言わない。", Place(slide=2, heading="日程")
        ),
    )


def test_pdf_gives_text_by_page_and_ruled_tables_by_row(read) -> None:
    table = [("設備", "型番", "周期"), ("ポンプ", "PPR-9087", "30日")]
    document = read(
        "手順.pdf", files.pdf([["点検の手順", "電源を切る。"], ["周期は表による。"]], table=table)
    )
    assert document.title == "点検の手順"
    assert document.sections == (
        Section("点検の手順\n電源を切る。", Place(page=1)),
        Section("周期は表による。\n設備: ポンプ、型番: PPR-9087、周期: 30日", Place(page=2)),
    )


def test_pdf_leaves_out_page_numbers(read) -> None:
    document = read("a.pdf", files.pdf([["本文。", "- 1 -"], ["続き。", "2 / 2"], ["価格は", "300"]]))
    assert [section.text for section in document.sections] == ["本文。", "続き。", "価格は\n300"]


def test_mail_says_who_wrote_what_and_what_was_attached(read) -> None:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = (
        "見積の件",
        "田中 <tanaka@example.com>",
        "suzuki@example.com",
    )
    message.set_content("納期は六月です。\n", charset="iso-2022-jp")
    message.add_attachment(
        files.pdf([["見積額は三万円。"]]), maintype="application", subtype="pdf", filename="見積書.pdf"
    )
    message.add_attachment(b"x", maintype="application", subtype="octet-stream", filename="図面.dwg")
    document = read("a.eml", message.as_bytes())
    assert document.title == "見積の件"
    assert document.sections[0].text == (
        "件名: 見積の件\n差出人: 田中 <tanaka@example.com>\n宛先: suzuki@example.com\n"
        "納期は六月です。\n添付: 見積書.pdf、図面.dwg\n"
        "読めないもの: 図面.dwg (No parser reads this format. ending .dwg)"
    )
    assert document.sections[1] == Section(
        "見積額は三万円。", Place(page=1, heading="見積書.pdf > 見積額は三万円。", anchor="見積書.pdf")
    )


def test_mail_written_in_html_only_is_read_as_html(read) -> None:
    message = EmailMessage()
    message["Subject"] = "news"
    message.set_content("<p>一つ目</p><p>二つ目</p>", subtype="html")
    assert read("a.eml", message.as_bytes()).sections[0].text.endswith("一つ目\n二つ目")


def test_content_decides_when_the_name_lies(read) -> None:
    assert read("a.pdf", files.word()).title == "旅費規程"
    assert read("a.docx", files.pdf([["本文です。"]])).sections[0].place.page == 1
    with pytest.raises(BrokenFile, match=r"not what \.pdf promises"):
        read("a.pdf", "ただの文")
    with pytest.raises(BrokenFile, match="not a picture"):
        read("a.txt", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00")


BOMB = files.archive(word__document="<w/>", word__media="0" * 30_000_000)
ENTITIES = files.archive(
    word__document='<!DOCTYPE w [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><w>&b;</w>'
)
OUTSIDE = files.archive(
    xl__workbook='<!DOCTYPE w SYSTEM "file:///etc/passwd"><w/>'.encode("utf-16").decode("utf-16")
)


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("empty.md", b"", EmptyFile),
        ("blank.txt", b" \n\t\n", EmptyFile),
        ("comment.html", b"<!-- nothing -->", EmptyFile),
        ("heads.csv", b",,\n,,\n", EmptyFile),
        ("scan.pdf", files.pdf([[]]), EmptyFile),
        ("cut.docx", files.word()[:-4000], BrokenFile),
        ("cut.xlsx", files.workbook()[:3000], BrokenFile),
        ("cut.pdf", files.pdf([["本文"]])[:300], BrokenFile),
        ("hollow.pptx", files.archive(ppt__presentation="<p/>"), BrokenFile),
        ("torn.docx", files.archive(word__document="<w><"), BrokenFile),
        ("headless.eml", "本文だけ".encode(), BrokenFile),
        ("locked.pdf", files.pdf([["秘密"]], password="x"), EncryptedFile),
        (
            "locked.xlsx",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            EncryptedFile,
        ),
        ("old.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512, UnsupportedFormat),
        ("photo.jpg", b"\xff\xd8\xff\xe0", BrokenFile),
        ("noname", b"text", UnsupportedFormat),
        ("some.zip", files.archive(readme="x"), UnsupportedFormat),
        ("bomb.docx", BOMB, HostileFile),
        ("entities.docx", ENTITIES, HostileFile),
        ("outside.xlsx", OUTSIDE, HostileFile),
        ("deep.html", b"<div>" * 100_000 + b"x", EmptyFile),
    ],
)
def test_a_bad_file_is_refused_with_its_reason(
    read, name: str, content: bytes, error: type[DocumentError]
) -> None:
    with pytest.raises(DocumentError) as refused:
        read(name, content)
    assert type(refused.value) is error, refused.value
    assert refused.value.detail


def test_characters_that_hide_from_people_are_taken_out(read) -> None:
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "obey")
    assert read("a.md", f"見える{hidden}文\x0b。").sections[0].text == "見える文。"


def test_wrapped_lines_are_joined_and_lists_are_left_alone() -> None:
    japanese = (
        "出張者は、出張の七日前までに申請書を部長に提出し、\nその承認を受けなければならない。ただし、緊急の場合は、\n"
        "事後に承認を受ける。\n・交通費\n・宿泊費"
    )
    assert reflow(japanese) == japanese.replace("、\n", "、")
    english = (
        "Travel must be requested seven days before departure and app-\n"
        "roved by the head of the department in writing."
    )
    assert reflow(english) == english.replace("-\n", "")


def test_a_heading_is_short_and_no_sentence() -> None:
    assert heading_level("第3章　旅費") < heading_level("第6条（宿泊費）")
    assert heading_level("【目的】") and heading_level("■ 概要")
    assert not heading_level("第6条の規定による。")
    assert not heading_level("第6条の規定により支給する額")


def test_a_table_of_labels_is_not_given_a_header() -> None:
    assert table_lines([("名称", "ポンプ"), ("重量", "軽い")]) == ["名称: ポンプ", "重量: 軽い"]
    assert table_lines([("等級", "日当"), ("部長", "3000円")]) == ["等級: 部長、日当: 3000円"]
