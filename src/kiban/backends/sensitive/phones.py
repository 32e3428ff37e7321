"""Telephone numbers (phonenumbers, Google's tables of every country's numbers)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import phonenumbers
from phonenumbers import NumberParseException

from kiban.backends.sensitive.reading import Reading
from kiban.domain.sensitive import Finding, Kind

_GAP = r"(?:\s?[\-()]\s{0,3}|\s{1,3})"
_JAPANESE = re.compile(
    rf"(?<![\d.\-+A-Za-z])(?:\(0\d{{1,4}}\)\s?|0\d{{1,4}}{_GAP}{{1,2}})\d{{1,4}}{_GAP}{{1,2}}\d{{3,4}}(?![\d\-])"
    r"|(?<![\d.\-+A-Za-z])0\d{9,10}(?![\d\-])"
)
_INTERNATIONAL = re.compile(r"(?<![A-Za-z0-9+])\+\d{1,3}(?:[\-\s().]{0,3}\d){6,13}(?!\d)")
_FOREIGN = re.compile(
    r"(?<![\d.\-+A-Za-z])(?:\(\d{3}\) ?|\d{3}[\-. ])\d{3}[\-. ]\d{4}(?![\d\-])"
    r"|(?<![\d.\-+])0\d{2,4} \d{3,4} \d{3,4}(?!\d)"
)
_CONTEXT = re.compile(
    r"電話|携帯|連絡先|直通|代表|ファックス|ファクス|℡|☎|\b(?:tel|telephone|phone|mobile|cell|fax|call|ring|contact)\b",
    re.IGNORECASE,
)
_SPACE = re.compile(r"\s+")
_MOBILE = re.compile(r"0[789]0\d{8}")


def find(reading: Reading) -> Iterator[Finding]:
    for match in _JAPANESE.finditer(reading.text):
        if _is_japanese(reading, match):
            yield reading.finding(Kind.PHONE, *match.span())
    for match in _INTERNATIONAL.finditer(reading.text):
        if end := _international_end(match[0]):
            yield reading.finding(Kind.PHONE, match.start(), match.start() + end)
    for match in _FOREIGN.finditer(reading.text):
        if _called_phone(reading, match) and any(_possible(match[0], region) for region in ("US", "GB")):
            yield reading.finding(Kind.PHONE, *match.span())


def _is_japanese(reading: Reading, match: re.Match[str]) -> bool:
    """Accept what is in the tables, or looks right and is called a phone number; bare digits need more."""
    number = match[0]
    if number.isdecimal() and not _MOBILE.fullmatch(number):
        return _called_phone(reading, match) and _possible(number, "JP")
    return _valid(number, "JP") or (_called_phone(reading, match) and _possible(number, "JP"))


def _called_phone(reading: Reading, match: re.Match[str]) -> bool:
    return _CONTEXT.search(reading.before(match.start(), 32)) is not None


def _international_end(number: str) -> int:
    """Return where a number that begins here ends, trying to leave off what follows it; 0 if it is none."""
    ends = [len(number), *(gap.start() for gap in reversed(list(re.finditer(r"[\s().\-]+", number))))]
    return next((end for end in ends if _valid(number[:end].replace("(0)", ""), None)), 0)


def _valid(number: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(_SPACE.sub("", number), region))
    except NumberParseException:
        return False


def _possible(number: str, region: str) -> bool:
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(_SPACE.sub("", number), region))
    except NumberParseException:
        return False
