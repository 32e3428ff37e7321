"""Postal addresses, Japanese and English."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kiban.backends.sensitive.reading import Reading
from kiban.domain.sensitive import Finding, Kind

_KEN = (
    "青森|岩手|宮城|秋田|山形|福島|茨城|栃木|群馬|埼玉|千葉|神奈川|新潟|富山|石川|福井|山梨|長野|岐阜|静岡|愛知|三重|滋賀|"
    "兵庫|奈良|和歌山|鳥取|島根|岡山|広島|山口|徳島|香川|愛媛|高知|福岡|佐賀|長崎|熊本|大分|宮崎|鹿児島|沖縄"
)
_PREFECTURE = rf"(?:北海道|東京都|京都府|大阪府|(?:{_KEN})県)"
_POSTCODE = r"〒?\s?\d{3}-\d{4}\s{0,2}"
_NAME = "[一-鿿々ぁ-ゖァ-ヺー]"
_NUMBER = "[\\d一二三四五六七八九十]{1,5}"
_DASHED = r"\d{1,5}(?:\s?-\s?\d{1,4}){1,3}"
# 1丁目2番3号, 2丁目3-4, 123番地の4, 1-2-3, or a bare 45 at the end.
_LOT = (
    rf"(?:{_NUMBER}\s?丁目(?:\s?(?:{_DASHED}|{_NUMBER}\s?番地?(?:\s?の?\s?{_NUMBER}\s?号?)?|\d{{1,4}}))?"
    rf"|{_DASHED}|{_NUMBER}\s?番地?(?:\s?の?\s?{_NUMBER}\s?号?)?|\d{{1,5}}(?=[\s、。,)」]|$))(?:-\d{{1,4}})?"
)
_HOUSE = "ビルディング|ビル|マンション|ハイツ|コーポ|アパート|レジデンス|荘|タワー|館|寮|棟"
_FLOOR = r"(?:\s?\d{1,4}(?:階|F|号室?))?"
_BUILDING = (
    rf"(?:\s?[一-鿿々ァ-ヺーA-Za-z0-9]{{1,16}}(?:{_HOUSE})(?:\s?\d{{1,4}}(?!\d))?(?:階|F|号室?)?)?{_FLOOR}"
)
_IN_PREFECTURE = rf"{_PREFECTURE}\s?(?:{_NAME}{{1,7}}?[市区郡町村]){{1,3}}\s?{_NAME}{{0,12}}?\s?{_LOT}"
# Without a prefecture it takes more: a block, or three numbers.
_IN_CITY = (
    rf"(?<!{_NAME}){_NAME}{{1,5}}?[市区]\s?{_NAME}{{1,10}}?\s?"
    rf"(?:{_NUMBER}\s?丁目(?:\s?(?:{_DASHED}|\d{{1,4}}\s?番(?:地|\s?\d{{1,3}}\s?号)?))?|\d{{1,4}}-\d{{1,4}}-\d{{1,4}})"
)
_JAPANESE = re.compile(rf"(?:{_POSTCODE})?(?:{_IN_PREFECTURE}|{_IN_CITY}){_BUILDING}|〒\s?\d{{3}}-?\d{{4}}")

_STREET = (
    "Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Square|Sq|Terrace|Way|Place|"
    "Highway|Parkway"
)
_FIRST_LINE = (
    r"(?<!©\s)\b\d{1,5}[A-Za-z]?\s(?:(?:[NSEW]|North|South|East|West)\.?\s)?"
    rf"(?:[A-Z][a-z']+\s){{1,3}}(?:{_STREET})\b\.?"
)
_UNIT = r"(?:,?\s(?:Suite|Apt|Apartment|Unit|Floor)\.?\s?\w+)?"
_TOWN = r"(?:,\s[A-Z][A-Za-z. ]+?(?=,|\s[A-Z]{2}\s?\d|\.|\n|$))?"
_CODE = r"(?:,?\s[A-Z]{2}\s\d{5}(?:-\d{4})?|,?\s[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2})?"
_ROMANISED = (
    r"\b\d{1,3}(?:-\d{1,4}){1,3},?\s[A-Z][a-z\-]+(?:[ -][A-Za-z]+){0,2}"
    r",\s[A-Z][a-z]+-(?:ku|shi|cho|machi|gun)(?:,\s[A-Z][a-z]+(?:-(?:to|fu|ken|shi))?)?(?:,?\s\d{3}-\d{4})?"
)
_ENGLISH = re.compile(rf"{_FIRST_LINE}{_UNIT}{_TOWN}{_CODE}|{_ROMANISED}")


def find(reading: Reading) -> Iterator[Finding]:
    for pattern in (_JAPANESE, _ENGLISH):
        for match in pattern.finditer(reading.text):
            yield reading.finding(Kind.ADDRESS, *match.span())
