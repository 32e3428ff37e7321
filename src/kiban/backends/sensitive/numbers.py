"""Numbers with a check digit (python-stdnum): cards, My Number, social security, IBAN."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stdnum import iban, luhn
from stdnum.jp import in_ as my_number
from stdnum.us import ssn

from kiban.backends.sensitive.reading import Reading
from kiban.domain.sensitive import Finding, Kind

_GAP = r"[\-\s.]{0,3}"
_CARD = re.compile(
    rf"(?<![\d.\-])(?:\d{{4}}{_GAP}\d{{4}}{_GAP}\d{{4}}{_GAP}\d{{4}}(?:{_GAP}\d{{1,3}})?"
    rf"|3\d{{3}}{_GAP}\d{{6}}{_GAP}\d{{4,5}}|\d{{13,19}})(?!\d)"
)
_BROKEN_CARD = re.compile(r"(?<![\d.\-])\d{2,17}\s{1,3}\d{2,17}(?!\d)")
_CARD_CONTEXT = re.compile(
    "カード|クレジット|card|credit|debit|visa|master|amex|american express|jcb|diners", re.IGNORECASE
)
# First digits and lengths (ISO/IEC 7812) of Visa, Mastercard, Amex, JCB, Diners, Discover, UnionPay.
_ISSUERS = re.compile(
    r"4\d{15}(?:\d{3})?|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01])\d{13}|2720\d{12}|3[47]\d{13}"
    r"|35(?:2[89]|[3-8]\d)\d{12}|3(?:0[0-5]|[689]\d)\d{11}|6(?:011|4[4-9]\d|5\d\d)\d{12}|62\d{14,17}"
)
_TWELVE = re.compile(
    r"(?<![\d.A-Za-z\-])(?<!\d{4}\s)\d{4}[\-\s]{0,3}\d{4}[\-\s]{0,3}\d{4}(?![\d\-]|\.\d|\s\d{4}(?!\d))"
)
_BROKEN_TWELVE = re.compile(r"(?<![\d.A-Za-z\-])\d(?:\s{0,3}\d){11}(?![\d\-]|\.\d)")
_ON_THE_CARD = re.compile(r"\d{4} \d{4} \d{4}")
_YEARS = re.compile(r"(?:19|20)\d\d (?:19|20)\d\d (?:19|20)\d\d")
_MY_NUMBER_LABEL = re.compile(
    r"(?P<mine>マイ\s?ナンバー|個人\s?番号|my\s?number|individual\s+number)"
    r"|免許|licen[cs]e|伝票|追跡|送り状|受付番号",
    re.IGNORECASE,
)
_LABEL_BEFORE, _LABEL_AFTER = 120, 16  # characters: a header may be a row away
_SSN = re.compile(r"(?<![\d\-])\d{3}[- ]\d{2}[- ]\d{4}(?![\d\-])")
_SSN_CONTEXT = re.compile(r"\bSSN\b|social\s+security|社会保障番号", re.IGNORECASE)
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")


def find(reading: Reading) -> Iterator[Finding]:
    yield from _cards(reading)
    yield from _my_numbers(reading)
    for match in _SSN.finditer(reading.text):
        near = reading.around(*match.span(), 48)
        if _SSN_CONTEXT.search(near) and ssn.is_valid(match[0].replace(" ", "-")):
            yield reading.finding(Kind.SOCIAL_SECURITY, *match.span())
    for match in _IBAN.finditer(reading.text):
        if iban.is_valid(match[0]):
            yield reading.finding(Kind.BANK_ACCOUNT, *match.span())


def _cards(reading: Reading) -> Iterator[Finding]:
    for match in _CARD.finditer(reading.text):
        if _is_card(_digits(match[0])):
            yield reading.finding(Kind.CARD, *match.span())
    for match in _BROKEN_CARD.finditer(reading.text):
        if _is_card(_digits(match[0])) and _CARD_CONTEXT.search(reading.around(*match.span(), 40)):
            yield reading.finding(Kind.CARD, *match.span())


def _is_card(digits: str) -> bool:
    return _ISSUERS.fullmatch(digits) is not None and luhn.is_valid(digits) and len(set(digits)) > 1


def _my_numbers(reading: Reading) -> Iterator[Finding]:
    """Find twelve digits with the right check digit that are called so: one in eleven has it by chance."""
    for pattern in (_TWELVE, _BROKEN_TWELVE):
        for match in pattern.finditer(reading.text):
            if not my_number.is_valid(_digits(match[0])):
                continue
            as_printed = pattern is _TWELVE and _ON_THE_CARD.fullmatch(match[0])
            if _is_called_my_number(reading, *match.span()) or (
                as_printed and not _YEARS.fullmatch(match[0])
            ):
                yield reading.finding(Kind.MY_NUMBER, *match.span())


def _is_called_my_number(reading: Reading, start: int, end: int) -> bool:
    labels = list(_MY_NUMBER_LABEL.finditer(reading.before(start, _LABEL_BEFORE)))
    if labels:
        return labels[-1]["mine"] is not None
    after = _MY_NUMBER_LABEL.search(reading.text[end : end + _LABEL_AFTER])
    return after is not None and after["mine"] is not None


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)
