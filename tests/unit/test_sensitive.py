"""Secrets and personal data are found where they stand, in both languages, and ordinary text is left."""

from __future__ import annotations

import base64
import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.backends.sensitive.detector import SensitiveDetector
from kiban.domain.document import ParsedDocument, Place, Section
from kiban.domain.sensitive import Finding, Kind, apart, mask, within
from kiban.domain.text import Span
from kiban.ingest import chunking, sensitive
from kiban.testing import PatternDetector, WordTokenizer

DETECTOR = SensitiveDetector()


def b64(value: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


TOKEN = (
    f"{b64({'alg': 'HS256', 'typ': 'JWT'})}.{b64({'sub': 'tanaka', 'aud': 'kiban'})}.9Zk3vQ2xT7bW1mR5yL8nC4"
)
BODY = "\n".join("MIIEowIBAAKCAQEA7bq0x1p2k3m4n5o6p7q8r9s0t1u2v3w4x5y6z7A8B9C0D1E2"[n:] for n in range(3))
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}\n-----END RSA PRIVATE KEY-----"

SENSITIVE = [  # text with what is sensitive between ⟦ and ⟧, its kind
    ("AWSのキーは⟦AKIAQ3EGRZ7XWLM2K5TP⟧です。", Kind.API_KEY),
    ("Use ⟦ghp_x7Kq2mZp9Rt4Wv6Yb8Nc1Df3Gh5Jk0LsQaWe⟧ for CI.", Kind.API_KEY),
    ("aws_secret_access_key = ⟦q8Zt/3vKx1Lw+9Yb7Nc2Df4Gh6Jk0MsPaRe5TuVw⟧", Kind.API_KEY),
    ("接続トークン：⟦d41d8cd98f00b204e9800998ecf8427e⟧", Kind.API_KEY),
    (f"Authorization: Bearer ⟦{TOKEN}⟧", Kind.API_KEY),
    (f"鍵は次のとおり。\n⟦{PEM}⟧\n以上", Kind.PRIVATE_KEY),
    ("パスワード：⟦Tokyo2026!⟧ を使う。", Kind.PASSWORD),
    ("The password is ⟦hunter42⟧.", Kind.PASSWORD),
    ("カード ⟦４１１１－１１１１－１１１１－１１１１⟧", Kind.CARD),
    ("card ⟦5555 5555 5555 4444⟧ exp", Kind.CARD),
    ("個人番号は⟦６２１４ー９８３２ー０２５７⟧です。", Kind.MY_NUMBER),
    ("My Number: ⟦621498320257⟧", Kind.MY_NUMBER),
    ("電話⟦０９０－１２３４－５６７８⟧", Kind.PHONE),
    ("TEL ⟦03(1234)5678⟧", Kind.PHONE),
    ("Call ⟦+81-3-1234-5678⟧ today.", Kind.PHONE),
    ("基盤銀行 新宿支店 普通 ⟦1234567⟧", Kind.BANK_ACCOUNT),
    ("IBAN ⟦DE89370400440532013000⟧", Kind.BANK_ACCOUNT),
    ("⟦〒100-0005 東京都千代田区丸の内一丁目1番1号⟧に届ける。", Kind.ADDRESS),
    ("Send it to ⟦221B Baker Street, London NW1 6XE⟧.", Kind.ADDRESS),
    ("⟦山田太郎⟧様", Kind.PERSON),
    ("担当：⟦佐藤 花子⟧", Kind.PERSON),
    ("Prepared by ⟦Emily O'Brien⟧", Kind.PERSON),
    ("⟦tanaka.taro@example.co.jp⟧へ", Kind.EMAIL),
    ("旅券番号 ⟦TK1234567⟧", Kind.PASSPORT),
    ("運転免許証番号 第⟦123456789012⟧号", Kind.DRIVING_LICENCE),
    ("在留カード ⟦AB12345678CD⟧", Kind.RESIDENCE_CARD),
    ("基礎年金番号 ⟦1234-567890⟧", Kind.PENSION),
    ("SSN ⟦536-90-4399⟧", Kind.SOCIAL_SECURITY),
]
ORDINARY = [
    "第6条 宿泊費は1泊9,800円とし、2026年4月1日から適用する。",
    "PPR-9087 の圧力は 1,234,567 Pa、公差は 0.05-0.10 mm とする。",
    "注文番号 621498320257、伝票 1234-5678-9012 を控える。",
    "法人番号 7000012050002",
    "年度は 2019 2020 2021 の三つ。",
    "パスワードは8文字以上とする。The password must have 12 characters.",
    "APIキーは管理者が発行する。Tokens expire after 3600 seconds.",
    "お客様各位、仕様は同様とする。部長の承認を得る。",
    "Press Ctrl+Shift+F10 to open the menu. From: Help Desk",
    "4111 1111 1111 1112 は検査数字が合わない。",
    "SHA-256: 5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
]


@pytest.mark.parametrize(("marked", "kind"), SENSITIVE)
def test_it_is_found_where_it_stands_and_nothing_around_it(marked: str, kind: Kind) -> None:
    before, rest = marked.split("⟦")
    what, after = rest.split("⟧")
    found = DETECTOR.findings(before + what + after)
    assert [(one.kind, one.span.of(before + what + after)) for one in found] == [(kind, what)]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert DETECTOR.findings(text) == ()


@pytest.mark.parametrize("gap", ["\n", " ", "\n  "])
def test_a_key_or_number_broken_at_the_end_of_a_line_is_found_whole(gap: str) -> None:
    for broken in (
        f"AKIAQ3EG{gap}RZ7XWLM2K5TP",
        f"{TOKEN[:30]}{gap}{TOKEN[30:70]}{gap}{TOKEN[70:]}",
        f"カード番号 411111{gap}1111111111",
        f"個人番号 62149{gap}8320257",
        f"電話 090-1234-{gap}5678",
    ):
        secret = broken.removeprefix("カード番号 ").removeprefix("個人番号 ").removeprefix("電話 ")
        (found,) = DETECTOR.findings(broken)
        assert found.span.of(broken) == secret


@pytest.mark.parametrize("rest", ["acf", "57382"])
def test_the_rest_of_a_hexadecimal_key_is_found_by_its_length(rest: str) -> None:
    key = "186403529e6abfa6472b073e5438c79b6d2dfd"[: 32 - len(rest)]
    text = f"認証トークンは{key}\n{rest}です。"
    (found,) = DETECTOR.findings(text)
    assert found.span.of(text) == f"{key}\n{rest}"


def test_the_word_after_a_key_is_no_part_of_it() -> None:
    text = "AKIAQ3EGRZ7XWLM2K5TP\nDo not share it."
    (found,) = DETECTOR.findings(text)
    assert found.span.of(text) == "AKIAQ3EGRZ7XWLM2K5TP"


def test_a_masked_text_names_what_was_there_in_its_own_language() -> None:
    japanese, english = "担当は電話090-1234-5678です。", "Call 090-1234-5678 now."
    assert mask(japanese, DETECTOR.findings(japanese)) == "担当は電話〔電話番号〕です。"
    assert mask(english, DETECTOR.findings(english)) == "Call 〔phone number〕 now."


@pytest.mark.parametrize("marked", [marked for marked, _ in SENSITIVE])
def test_nothing_is_found_in_what_was_masked(marked: str) -> None:
    text = marked.replace("⟦", "").replace("⟧", "")
    assert DETECTOR.findings(mask(text, DETECTOR.findings(text))) == ()


FINDINGS = st.lists(
    st.builds(
        lambda kind, start, length: Finding(kind, Span(start, start + length)),
        st.sampled_from(list(Kind)),
        st.integers(0, 40),
        st.integers(1, 9),
    )
)


@given(FINDINGS)
def test_findings_are_set_apart_without_losing_a_character(findings: list[Finding]) -> None:
    covered = {place for one in findings for place in range(one.span.start, one.span.end)}
    kept = apart(findings)
    assert {place for one in kept for place in range(one.span.start, one.span.end)} == covered
    assert all(left.span.end <= right.span.start for left, right in pairwise(kept))


@given(FINDINGS, st.integers(0, 40), st.integers(0, 20))
def test_what_lies_within_a_span_counts_from_its_start(
    findings: list[Finding], start: int, length: int
) -> None:
    span = Span(start, start + length)
    covered = {place for one in findings for place in range(one.span.start, one.span.end)}
    seen = {place for one in within(findings, span) for place in range(one.span.start, one.span.end)}
    assert seen == {place - start for place in covered if start <= place < start + length}


@settings(max_examples=50)
@given(
    st.lists(st.sampled_from(["SECRET-12", "090-1234-5678", "宿泊費は一万円とする。", "\n", "。", "x" * 300]))
)
def test_every_chunk_carries_what_was_found_in_its_part_of_the_document(pieces: list[str]) -> None:
    text = "\n".join(pieces)
    document = ParsedDocument("表題", (Section(text, Place()), Section("SECRET-7 " + text, Place(page=2))))
    detector = PatternDetector()
    chunks = sensitive.mark(document, chunking.cut(document, WordTokenizer()), detector)
    everywhere = {
        place
        for one in detector.findings(document.text)
        for place in range(one.span.start, one.span.end)
        if not document.text[place].isspace()
    }
    marked = {
        chunk.span.start + place
        for chunk in chunks
        for one in chunk.sensitive
        for place in range(one.span.start, one.span.end)
    }
    assert marked == everywhere
