"""Days that a text names: dates, months, calendar and fiscal years, in Japanese and English.

A fiscal year begins in April. What is not a day of the calendar ("2024年13月") is not read at all.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

ERAS = {"令和": 2018, "R": 2018, "平成": 1988, "H": 1988, "昭和": 1925, "S": 1925, "大正": 1911, "明治": 1867}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
FISCAL = 4  # the month a fiscal year begins with
DAY = timedelta(days=1)

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_YEAR = r"(?:19|20)\d\d"
_ABSOLUTE = re.compile(
    r"(?:(?P<era>令和|平成|昭和|大正|明治|(?<![a-z])[RHS](?=\d))(?P<of>元|\d{1,2})"
    rf"|(?<!\d)(?P<y>{_YEAR}))年"
    r"(?:(?P<fiscal>度)(?:の?(?P<half>[上下])(?:半)?期)?|(?P<m>\d{1,2})月(?:(?P<d>\d{1,2})日)?)?"
    rf"|(?<!\d)(?P<y2>{_YEAR})(?P<sep>[-/.])(?P<m2>0?[1-9]|1[0-2])"
    r"(?:(?P=sep)(?P<d2>0?[1-9]|[12]\d|3[01]))?(?!\d)"
    rf"|(?<!\d)(?P<y3>{_YEAR})(?P<m3>0[1-9]|1[0-2])(?P<d3>0[1-9]|[12]\d|3[01])(?!\d)"
    rf"|\b(?P<m4>{_MONTH})\.?(?: (?P<d4>\d{{1,2}})(?:st|nd|rd|th)?,?)? (?P<y4>{_YEAR})\b"
    r"|\b(?:FY ?|fiscal (?:year )?)(?P<y5>(?:20)?\d\d)\b"
    rf"|(?<![\d.,])(?P<y6>{_YEAR})(?![\d.,年]|[ ]?(?:円|yen|件|人|回|個|名|%))",
    re.IGNORECASE,
)
_BEFORE_TODAY = re.compile(
    r"(?P<day1>昨日|\byesterday\b)"
    r"|(?P<fiscal0>今年度|本年度|\bthis fiscal year\b)|(?P<fiscal1>昨年度|去年度|\blast fiscal year\b)"
    r"|(?P<week0>今週|\bthis week\b)|(?P<week1>先週|\blast week\b)"
    r"|(?P<month0>今月|\bthis month\b)|(?P<month1>先月|\blast month\b)|(?P<month2>先々月)"
    r"|(?P<year0>今年|本年|\bthis year\b)|(?P<year1>昨年|去年|\blast year\b)|(?P<year2>一昨年)"
)
_YEARLESS = re.compile(r"(?<![\d年/])(?P<month>1[0-2]|[1-9])月(?:(?P<day>\d{1,2})日)?(?!\d|間|期)")


@dataclass(frozen=True, slots=True)
class Period:
    """Days from `start` up to `end`, which is not among them."""

    start: date = date.min
    end: date = date.max

    def share_with(self, other: Period) -> float:
        """Return how much of the shorter of both lies in the other, 0..1."""
        both = min(self.end, other.end) - max(self.start, other.start)
        shorter = min(self.end - self.start, other.end - other.start)
        return max(both / shorter, 0.0) if shorter > timedelta() else 0.0


@dataclass(frozen=True, slots=True)
class Named:
    """A period and the characters of a text in NFKC that name it."""

    period: Period
    start: int
    end: int
    sure: bool = False  # said of documents whatever stands beside it: last month, the fiscal year 2024


def plain(text: str) -> str:
    """Return the text as its periods are found in: NFKC."""
    return unicodedata.normalize("NFKC", text)


def absolute(text: str) -> Iterator[Named]:
    """Yield what is named without looking at a calendar. `text` is in NFKC."""
    for found in _ABSOLUTE.finditer(text):
        if period := _read(found):
            yield Named(period, *found.span(), sure=bool(found["fiscal"] or found["y5"]))


def relative(text: str, today: date) -> Iterator[Named]:
    """Yield what is named as seen from `today`. Months ago are surely meant, this month may only be said."""
    for found in _BEFORE_TODAY.finditer(text.lower()):
        assert found.lastgroup
        unit, back = found.lastgroup[:-1], int(found.lastgroup[-1])
        yield Named(_before(today, unit, back), *found.span(), sure=back > 0)


def yearless(text: str, today: date) -> Iterator[Named]:
    """Yield months and days without a year: April is the last one that has begun."""
    for found in _YEARLESS.finditer(text):
        of = int(found["month"])
        if period := _day_or_month(today.year - (of > today.month), of, found["day"]):
            yield Named(period, *found.span())


def year(number: int, first: int = 1) -> Period:
    """Return the year that begins with the month `first`."""
    return Period(date(number, first, 1), date(number + 1, first, 1))


def month(number: int, of: int) -> Period:
    """Return month `of` of a year, counted on past December and back before January."""
    number, of = number + (of - 1) // 12, (of - 1) % 12 + 1
    return Period(date(number, of, 1), date(number + of // 12, of % 12 + 1, 1))


def _read(found: re.Match[str]) -> Period | None:
    got = found.groupdict()
    number = next((int(got[name]) for name in ("y", "y2", "y3", "y4", "y5", "y6") if got[name]), 0)
    if got["era"]:
        number = ERAS[got["era"].upper()] + (1 if got["of"] == "元" else int(got["of"]))
    if got["y5"]:
        return year(number % 100 + 2000, FISCAL)
    if got["half"]:
        begins = month(number, FISCAL if got["half"] == "上" else FISCAL + 6).start
        return Period(begins, month(begins.year, begins.month + 5).end)
    of = next((got[name] for name in ("m", "m2", "m3", "m4") if got[name]), "")
    on = next((got[name] for name in ("d", "d2", "d3", "d4") if got[name]), "")
    if not of:
        return year(number, FISCAL if got["fiscal"] else 1)
    return _day_or_month(number, MONTHS.index(of[:3].lower()) + 1 if of.isalpha() else int(of), on)


def _day_or_month(number: int, of: int, on: str | None) -> Period | None:
    try:
        day = date(number, of, int(on or 1))
    except ValueError:
        return None
    return Period(day, day + DAY) if on else month(number, of)


def _before(today: date, unit: str, back: int) -> Period:
    match unit:
        case "day":
            return Period(today - back * DAY, today - back * DAY + DAY)
        case "week":
            monday = today - timedelta(days=today.weekday() + 7 * back)
            return Period(monday, monday + 7 * DAY)
        case "month":
            return month(today.year, today.month - back)
        case "fiscal":
            return year(today.year - (today.month < FISCAL) - back, FISCAL)
        case _:
            return year(today.year - back)
