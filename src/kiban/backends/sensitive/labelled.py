"""What its form alone gives away, or a label beside it: e-mail addresses, accounts, numbers of papers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kiban.backends.sensitive.reading import Reading
from kiban.domain.sensitive import Finding, Kind

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?"
_BROKEN_TOP = r"c\som|co\sm|o\srg|or\sg|n\set|ne\st|j\sp"
_TOP = (
    rf"{_BROKEN_TOP}|com|net|org|info|biz|gov|edu|mil|int|dev|app|cloud|local|test|example|invalid|[a-z]{{2}}"
)
_MAILBOX = r"(?<![A-Za-z0-9._%+\-])(?:[A-Za-z0-9]+[._][A-Za-z0-9._]*[A-Za-z0-9]\n)?[A-Za-z0-9._%+\-]{1,64}"
_EMAIL = re.compile(
    # with a break of line after "@", after a dot or within a word, as long as a known domain follows
    rf"{_MAILBOX}@\s?(?:{_LABEL}(?:\.\s?|[ \n]{_LABEL}\.)){{1,4}}(?:{_TOP})(?![A-Za-z0-9\-]|\.[A-Za-z])"
    rf"|{_MAILBOX}@(?:{_LABEL}\.)+[A-Za-z]{{2,}}",
    re.ASCII | re.IGNORECASE,
)
_ACCOUNT = r"(?P<number>\d(?:[\- ]?\d){5,7})(?![\d\-]|[,.]\d|[円万年月])"
_BANK = (
    re.compile(
        r"(?:普通|当座|貯蓄|定期|総合|\(?普\)|\(?当\))(?:預金)?(?:口座)?(?:番号)?[\s:/、,()#.No]{0,8}"
        + _ACCOUNT
    ),
    re.compile(r"口座(?:番号|No\.?)?[\s:はが#.「]{0,6}" + _ACCOUNT),
    re.compile(r"(?P<number>(?<=記号)[\s:]{0,3}1\d{4}(?:-\d)?[\s、,/]{0,3}番号[\s:]{0,3}\d{2,8})"),
    re.compile(
        r"(?:account|acct\.?|a/c)\s*(?:no\.?|number|num|#)?\s*(?:is|:|#)?\s*"
        r"(?P<number>\d(?:[\- ]?\d){5,16})(?!\d)",
        re.IGNORECASE,
    ),
)
_BANK_CONTEXT = re.compile(
    "銀行|金庫|信金|信組|農協|労金|ゆうちょ|支店|口座|振込|bank|branch|account|acct|a/c", re.IGNORECASE
)

# kind, what calls it so (in the 48 characters before), the number
_LICENCE = r"driv(?:er'?s?|ing)\s+licen[cs]e"
_PAPERS = (
    (Kind.PASSPORT, "旅券|パスポート|passport", r"(?<![A-Z0-9])[A-Z]{1,2}\s?\d{7,8}(?!\d)"),
    (Kind.DRIVING_LICENCE, f"免許|{_LICENCE}", r"(?<![\d.\-])\d{4}[\- ]?\d{4}[\- ]?\d{4}(?![\d\-])"),
    (Kind.RESIDENCE_CARD, r"在留|residence\s+card", r"(?<![A-Z0-9])[A-Z]{2}\s?\d{8}\s?[A-Z]{2}(?![A-Z0-9])"),
    (Kind.PENSION, "年金|pension", r"(?<![\d\-])\d{4}[\- ]?\d{6}(?![\d\-])"),
)
_FOREIGN = r"\s*(?:no\.?|number|#)?\s*(?:is|:)?\s*(?P<number>(?=[A-Z]*\d)[A-Z0-9]{7,18})(?![A-Za-z0-9])"
_FOREIGN_PAPERS = (
    (Kind.PASSPORT, re.compile(rf"(?i:passport){_FOREIGN}")),
    (Kind.DRIVING_LICENCE, re.compile(rf"(?i:{_LICENCE}){_FOREIGN}")),
)
_NEAR = 48
_LABELS = tuple(
    (kind, re.compile(label, re.IGNORECASE), re.compile(number)) for kind, label, number in _PAPERS
)
_OTHER = re.compile(r"個人番号|マイナンバー|my\s?number|電話|携帯|\btel\b", re.IGNORECASE)


def find(reading: Reading) -> Iterator[Finding]:
    if "@" in reading.text:
        for match in _EMAIL.finditer(reading.text):
            yield reading.finding(Kind.EMAIL, *match.span())
    for pattern in _BANK:
        for match in pattern.finditer(reading.text):
            if _BANK_CONTEXT.search(reading.around(*match.span(), 60)):
                yield reading.finding(Kind.BANK_ACCOUNT, *match.span("number"))
    yield from _papers(reading)


def _papers(reading: Reading) -> Iterator[Finding]:
    for kind, pattern in _FOREIGN_PAPERS:
        for match in pattern.finditer(reading.text):
            yield reading.finding(kind, *match.span("number"))
    for kind, label, number in _LABELS:
        if not label.search(reading.text):
            continue
        for match in number.finditer(reading.text):
            before = reading.before(match.start(), _NEAR)
            if _last(label, before) > _last(_OTHER, before):
                yield reading.finding(kind, *match.span())


def _last(pattern: re.Pattern[str], text: str) -> int:
    return max((match.start() for match in pattern.finditer(text)), default=-1)
