"""A question that asks for documents of some days: the ones of those days first, and none left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from kiban.domain.question import Passage
from kiban.retrieve.periods import DAY, Named, Period, absolute, month, plain, relative, yearless

WEIGHT = 0.2  # of the date; the rest is the score

_KINDS = (
    "議事録|規程|規則|規定|規約|細則|要領|要綱|方針|マニュアル|手順書?|手引き?|ガイド|報告書?|資料|仕様書|契約書?|"
    "見積書?|請求書|計画書?|予算書|決算書|通知|お知らせ|案内|週報|日報|月報|議題|稟議書?|カタログ|価格表|料金表|"
    "一覧表?|メール|メモ|記録|届出?|申請書|ニュース|社内報|ハンドブック|文書|書類|版"
)
_KINDS_EN = (
    "minutes|polic(?:y|ies)|reports?|handbooks?|manuals?|rules|regulations?|guidelines?|guides?|memos?|notices?|"
    "contracts?|agreements?|quotations?|invoices?|newsletters?|mails?|e-?mails?|slides|announcements?|records?|"
    "price lists?|documents?|files?|plans?|specifications?|procedures?|notes|edition|version"
)
_THEN = re.compile(
    r"\s*(?P<since>以降|以後|から)|\s*(?P<after>より後)|\s*(?P<until>以前|まで)|\s*(?P<before>より前)"
)
_AND_THEN = re.compile(r"\s*(?:から|~|〜|-|–|and|to|through|until)\s*", re.IGNORECASE)
_FIRST = re.compile(
    r"\b(?:(?P<since>since|starting(?: from| in)?)|(?P<after>after)|(?P<before>before)"
    r"|(?P<until>until|till|up to|through|by)|between|from)\s+$",
    re.IGNORECASE,
)
_OF_IT = re.compile(
    rf"\s*(?:分|付け?|現在|時点|施行|改[定正訂])?の?[^、。,?!はがをにへも]{{0,12}}?(?:{_KINDS})"
    rf"|(?:'s)?\s+(?:[\w-]+\s+){{0,3}}?(?:{_KINDS_EN})\b",
    re.IGNORECASE,
)
_IT_OF = re.compile(rf"\b(?:{_KINDS_EN})(?:\s+(?:of|from|for|in|on|dated))?(?:\s+the)?\s*$", re.IGNORECASE)


def asked(question: str, today: date) -> Period | None:
    """Return the days whose documents a question asks for; None unless it plainly does.

    "The 2024 travel policy" does, and "who won the election of 2024" does not: a date must belong to a kind
    of document. Last month and a fiscal year need not: they are how a company tells its documents apart.
    """
    text = plain(question)
    named = [*absolute(text), *relative(text, today), *yearless(text, today)]
    taken = 0
    for one in sorted(named, key=lambda one: (one.start, -one.end)):
        if one.start < taken:
            continue
        following = next((other for other in named if other.start >= one.end), None)
        period, start, taken = _widened(text, one, following)
        if one.sure or _OF_IT.match(text, taken) or _IT_OF.search(text[:start]):
            return period
    return None


def prefer(passages: Sequence[Passage], days: Period, weight: float = WEIGHT) -> list[Passage]:
    """Return every passage once, best first, scored by the weighted mean of its score and of how well its
    date fits, both 0..1. One without a date keeps its place behind those that fit."""
    scored = [replace(one, score=(1 - weight) * one.score + weight * fit(one, days)) for one in passages]
    return sorted(scored, key=lambda one: -one.score)  # stable: equals keep their order


def fit(passage: Passage, days: Period) -> float:
    """Return how much of a passage's days are asked for, 0..1: those that its title or heading names, else
    its uri, else the day its document was modified."""
    for text in (f"{passage.title} {passage.place.heading}", passage.uri):
        named = [one.period for one in absolute(plain(text))]
        if named:
            return max(days.share_with(period) for period in named)
    if passage.modified is None:
        return 0.0
    day = passage.modified.date()
    return days.share_with(Period(day, day + DAY))


def _widened(text: str, one: Named, following: Named | None) -> tuple[Period, int, int]:
    """Return the period with what is said around it (since, until, between), and the characters of both."""
    then, first = _THEN.match(text, one.end), _FIRST.search(text[: one.start])
    start = first.start() if first else one.start
    if following and (link := _AND_THEN.match(text, one.end)) and link.end() == following.start:
        last = _in_the_year_after(one.period, text[following.start : following.end]) or following.period
        and_then = _THEN.match(text, following.end)
        return Period(one.period.start, last.end), start, and_then.end() if and_then else following.end
    end = then.end() if then else one.end
    said = then or first
    match said and said.lastgroup:
        case "since":
            return Period(start=one.period.start), start, end
        case "after":
            return Period(start=one.period.end), start, end
        case "until":
            return Period(end=one.period.end), start, end
        case "before":
            return Period(end=one.period.start), start, end
        case _:
            return one.period, start, end


def _in_the_year_after(begun: Period, text: str) -> Period | None:
    """Read "to June" after "from April 2024"."""
    a_year_on = month(begun.start.year, begun.start.month + 11).start
    return next((one.period for one in yearless(text, a_year_on)), None)
