"""Find sentences that state one checkable value: what a question can be asked about and judged by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from kiban.domain.question import Passage
from kiban.domain.text import Span

LENGTHS = range(10, 161)  # characters of a sentence worth asking about
SHORTEST_TOPIC = {"ja": 4, "en": 10}  # characters before the value; less is a fragment or a form field


Language = Literal["ja", "en"]


@dataclass(frozen=True, slots=True)
class Fact:
    """A sentence, where it stands, and the value it states."""

    passage: Passage
    sentence: str
    span: Span  # of the sentence, in the document's text
    value: str
    at: Span  # of the value, in the sentence
    kind: str  # name, called, code, clock, weekday, date, money, quantity or bare

    @property
    def before(self) -> str:
        return self.sentence[: self.at.start]

    @property
    def after(self) -> str:
        return self.sentence[self.at.end :]

    @property
    def language(self) -> Language:
        return language(self.sentence)


def language(text: str) -> Language:
    """Return "ja" for text with kana or kanji, else "en"."""
    return "ja" if re.search(r"[ぁ-ヿ一-龥]", text) else "en"


def facts(passages: Iterable[Passage], per_document: int) -> list[Fact]:
    """Return at most `per_document` facts of each document, taken in turn from its chunks.

    A value stated twice within a document is left out: a question about it has two right quotations.
    """
    documents: dict[int, list[list[Fact]]] = {}
    for passage in passages:
        documents.setdefault(passage.document_id, []).append(list(_facts_of(passage)))
    chosen: list[Fact] = []
    for chunks in documents.values():
        in_turn = [fact for layer in zip_longest(*chunks) for fact in layer if fact is not None]
        stated = [fact.sentence for fact in in_turn]
        chosen += [fact for fact in in_turn if stated.count(fact.sentence) == 1][:per_document]
    return chosen


def _facts_of(passage: Passage) -> Iterator[Fact]:
    for span in sentences(passage.original):
        if any(finding.overlaps(span) for finding in passage.sensitive):
            continue  # nobody is to be asked for somebody's number
        sentence = span.of(passage.original)
        if len(sentence) in LENGTHS and (found := _value(sentence)):
            at, kind = found
            yield Fact(passage, sentence, span.shifted(passage.span.start), at.of(sentence), at, kind)


_SENTENCE = re.compile(r"[^\s・■●◆※#>|*\-].*?(?:。|[.!?？！](?=\s|$))", re.MULTILINE)


def sentences(text: str) -> list[Span]:
    """Return the whole sentences of a text: within one line, up to and with their closing mark."""
    return [Span(*match.span()) for match in _SENTENCE.finditer(text)]


_NUMBER = r"[0-9０-９](?:[0-9０-９,，.．]*[0-9０-９])?"
_COUNTERS = (
    "営業日 か月 ヶ月 カ月 週間 日間 年間 年度 時間 種類 文字 番目 円 年 月 日 時 分 秒 週 度 回 人 名 社 件 "
    "台 本 枚 冊 席 足 基 通 倍 歳 問 型 番 桁 歩 泊 食 棟 個 箱 缶 点 段 割 級 口 行 頁 階 号 % ％ ℃ °C"
).split()
_SYMBOLS = "mm cm km mg kg kW kWh MPa kPa Pa kHz MHz GHz Hz GB MB TB rpm ppm dB mL ml V A W L g m".split()
_UNIT = (
    rf"(?:(?:平方|立方)?[ァ-ヴー]{{2,12}}秒?|{'|'.join(_COUNTERS)}"
    rf"|(?:{'|'.join(sorted(_SYMBOLS, key=len, reverse=True))})(?![A-Za-z]))"
)
_JAPANESE = re.compile(
    rf"""(?P<name>(?<=の)[一-龥々]{{3,6}}(?=が(?:務め|担当|指揮|行う)))
    |(?<=[はが、]「)(?P<called>[^「」]{{2,20}})(?=」(?:です|である|とする|だ))
    |(?P<code>(?<![A-Za-z「])[A-Z]{{1,5}}-[A-Z0-9][A-Z0-9-]*(?=[をがで]|とする))
    |(?P<clock>(?:午前|午後)\s?{_NUMBER}時(?:{_NUMBER}分|半)?|\d\d?:\d\d)
    |(?P<weekday>(?:第{_NUMBER})?[月火水木金土日]曜日)
    |(?P<quantity>(?:(?:{_NUMBER}\s?[万億千]{{0,2}})+{_UNIT}半?)+)
    |(?P<bare>(?<=[はを、]){_NUMBER}(?=[はがをでとにの以]))""",
    re.VERBOSE,
)
_ONE = re.compile(r"[1１一][回名人台件社点]|1 [a-z]+")  # 「1回につき」 counts, but is no answer
_MONTHS = "January February March April May June July August September October November December".split()
_ENGLISH_UNITS = (
    "working days,business days,days,day,hours,hour,minutes,milliseconds,seconds,weeks,months,years,year,"
    "percent,people,employees,times,pages,characters,metres,meters,millimetres,millimeters,kilograms,grams,"
    "litres,liters,degrees,points,euros,dollars,yen,volts,watts,bar,units,items,seats,rooms,nights,copies,"
    "samples,cycles"
).split(",")
_MONTH = f"(?:{'|'.join(_MONTHS)})"
_QUANTITY = rf"{_NUMBER}\s?(?:(?:{'|'.join(_ENGLISH_UNITS)})\b|%|°C|(?:{'|'.join(_SYMBOLS)})(?![A-Za-z]))"
_ENGLISH = re.compile(
    rf"""(?P<code>(?<![A-Za-z])(?<!ocument\ )[A-Z]{{1,5}}-[A-Z0-9][A-Z0-9-]*(?=\.?$))
    |(?P<money>(?:[$€£¥]|USD\ |EUR\ |JPY\ ){_NUMBER}(?:\ (?:million|billion))?)
    |(?P<money_in_words>{_NUMBER}\ (?:million\ |billion\ )?(?:yen|dollars|euros))
    |(?P<date>{_NUMBER}\ {_MONTH}(?:\ \d{{4}})?|{_MONTH}\ \d{{1,2}}(?:,\ \d{{4}})?)
    |(?P<clock>\d{{1,2}}[:.]\d\d(?:\s?[ap]\.?m\.?)?|\d{{1,2}}\s?[ap]\.?m\.?)
    |(?P<quantity>{_QUANTITY}(?:\ and\ {_QUANTITY})?)""",
    re.VERBOSE,
)


def _value(sentence: str) -> tuple[Span, str] | None:
    """Return the last value of a statement, and its kind: what comes before it is what is asked about."""
    if sentence.endswith(("?", "？")) or re.search(r"[:：](?!\d)", sentence):
        return None  # a question, or fields of a form
    written_in = language(sentence)
    pattern = _JAPANESE if written_in == "ja" else _ENGLISH
    found = [
        match
        for match in pattern.finditer(sentence)
        if match.start() >= SHORTEST_TOPIC[written_in] and not _ONE.fullmatch(match[0])
    ]
    return (Span(*found[-1].span()), found[-1].lastgroup or "") if found else None
