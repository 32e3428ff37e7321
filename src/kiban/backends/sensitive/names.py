"""Names of people: what Sudachi calls a personal name, where a title or a label says that one is meant."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence

from sudachipy import Dictionary, Morpheme, SplitMode
from sudachipy import Tokenizer as Sudachi

from kiban.backends.sensitive.reading import Reading
from kiban.domain.sensitive import Finding, Kind

_HONORIFIC = "様|さま|さん|氏|殿|君|くん|ちゃん|先生|教授|博士|弁護士|税理士|医師"
_ROLE = (
    "(?:代表)?取締役|(?:副|代表)?社長|会長|専務|常務|監査役|本部長|部長|次長|課長|係長|主任|室長|所長|工場長|支店長|店長|"
    "班長|職長|リーダー|マネージャー"
)
_LABEL = (
    "氏名|名前|姓名|名義人?|担当者?|責任者|作成者?|承認者?|起案者?|起票者?|記入者|記録者?|報告者|提出者|申請者|申込者|契約者|"
    "受取人|依頼者|出席者?|参加者|欠席者?|司会|議長|連絡先|連絡者|窓口|代表者?|従業員|社員|被保険者|本人|宛先|差出人|発信者|"
    "講師|患者|顧客"
)
_AFTER = re.compile(rf"{_HONORIFIC}|{_ROLE}")
_BEFORE = re.compile(rf"(?:{_ROLE}|{_LABEL})(?:名|氏名)?[\s:・はが「(、【/]{{0,3}}")
_ENDS = re.compile(r"[\n。]")
_FOREIGN = re.compile(r"[ァ-ヺー]{2,}")
_SEPARATORS = frozenset("、・, /\t")
_CALLED = frozenset([*_HONORIFIC.split("|"), *"社長 部長 次長 課長 係長 主任".split()])  # never of a place

_WORD = r"(?:[A-Z]['’]|Mc|Mac)?[A-Z][a-z]+(?:-[A-Z][a-z]+)?"
_FULL = rf"(?:{_WORD}|[A-Z]{{3,}})(?: +[A-Z]\.)?(?: +(?:{_WORD}|[A-Z]{{3,}})){{1,2}}"
_DONE_BY = "(?:Prepared|Approved|Written|Reviewed|Signed|Submitted|Requested|Chaired|Reported) by"
_ENGLISH_LABEL = (
    "(?:Full )?[Nn]ame|Cardholder|Contact(?: person)?|Author|Attendees?|Present|Manager|Supervisor|Employee|"
    "Applicant|Patient|Customer|Beneficiary|Account holder|Attn|Attention|From|To|Cc"
)
_ENGLISH = re.compile(
    rf"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.? +(?P<titled>{_WORD}(?: +[A-Z]\.)?(?: +{_WORD})?)"
    rf"|\b(?P<san>{_WORD}(?: {_WORD})?)-(?:san|sama)\b"
    rf"|\b(?:{_DONE_BY} ?:? *|Dear +|(?:{_ENGLISH_LABEL}) ?: *)(?P<labelled>{_FULL})"
)
_NO_PERSON = re.compile(
    r"\b(?:The|This|All|Any|Department|Desk|Team|Office|Resources|Support|Cent(?:er|re)|Services?|Company|Group|Bank|"
    r"Division|Section|Committee|Board|Management|Manager|Information|Number|Address|Name|Date|Form|Policy|Manual|"
    r"Security|Safety|Quality|Help|Sales|Customer|Human|General|Affairs|Accounting|Project|System|Inc|Ltd|Corporation|"
    r"University|Street|File|Edit|View|Menu|Page|Sir|Madam)\b"
)


_TRIGGER = re.compile(f"{_AFTER.pattern}|{_BEFORE.pattern}")


class NameDetector:
    """Finds names in Japanese and English text. May be called from several threads."""

    def __init__(self) -> None:
        self._dictionary = Dictionary(dict="core")
        self._local = threading.local()  # a Sudachi tokenizer serves one thread at a time

    def find(self, reading: Reading) -> Iterator[Finding]:
        for start, end in _lines_with_people(reading.text):
            for from_, to in self._people(reading.text[start:end]):
                yield reading.finding(Kind.PERSON, start + from_, start + to)
        for match in _ENGLISH.finditer(reading.text):
            group = match.lastgroup or ""
            if not _NO_PERSON.search(match[group]):
                yield reading.finding(Kind.PERSON, *match.span(group))

    def _people(self, line: str) -> Iterator[tuple[int, int]]:
        """Yield [start, end) of the names in a line: those that a label announces, and on with its list,
        and those that a title follows."""
        units = list(self._sudachi.tokenize(line))
        next_in_list = -1
        for start, end in _runs(units):
            from_, to = units[start].begin(), units[end - 1].end()
            announced = start == next_in_list or _announced(line, from_)
            if announced and _is_whole_name(units[start:end]):
                next_in_list = _after_separator(units, end)
                yield from_, to
            elif _addressed(units[start:end], line[to:]):
                yield from_, to

    @property
    def _sudachi(self) -> Sudachi:
        if not hasattr(self._local, "sudachi"):
            self._local.sudachi = self._dictionary.tokenizer(mode=SplitMode.A)
        sudachi: Sudachi = self._local.sudachi
        return sudachi


def _lines_with_people(text: str) -> Iterator[tuple[int, int]]:
    """Yield the lines and sentences in which a title or a label stands: only they are worth analysing."""
    done = 0
    for trigger in _TRIGGER.finditer(text):
        if trigger.start() >= done:
            start = max(text.rfind(end, done, trigger.start()) + 1 for end in "\n。")
            ending = _ENDS.search(text, trigger.end())
            start = max(start, done, trigger.start() - 200)
            done = min(ending.start() if ending else len(text), trigger.end() + 400)
            yield start, done


def _runs(units: Sequence[Morpheme]) -> Iterator[tuple[int, int]]:
    """Yield [start, end) of units that may be one name: 山田, 山田太郎, 山田 太郎, ジョン・スミス."""
    start = 0
    while start < len(units):
        end = start
        while end < len(units) and _may_be_name(units[end]):
            end += 1
            if end + 1 < len(units) and _joins(*units[end - 1 : end + 2]):
                end += 1
        if end > start:
            yield start, end
        start = end + 1 if end == start else end


def _joins(left: Morpheme, between: Morpheme, right: Morpheme) -> bool:
    """Say whether what stands between two units keeps them one name."""
    if not _may_be_name(right):
        return False
    if between.surface() == "・":
        return bool(_FOREIGN.fullmatch(left.surface()) and _FOREIGN.fullmatch(right.surface()))
    return bool(between.surface() == " " and left.part_of_speech()[3] == "姓")


def _may_be_name(unit: Morpheme) -> bool:
    kind = unit.part_of_speech()
    if kind[1] == "固有名詞":
        return kind[2] in ("人名", "地名", "一般") and not unit.surface().isascii()
    return bool(unit.is_oov()) and _FOREIGN.fullmatch(unit.surface()) is not None


def _is_personal(unit: Morpheme) -> bool:
    return bool(unit.part_of_speech()[2] == "人名")


def _is_whole_name(units: Sequence[Morpheme]) -> bool:
    """Say whether a run is a name without a title: with a personal name in it, or ジョン・スミス."""
    return any(map(_is_personal, units)) or any(unit.surface() == "・" for unit in units)


def _announced(line: str, start: int) -> bool:
    """Say whether a label stands right before."""
    before = line[max(start - 16, 0) : start]
    return any(match.end() == len(before) for match in _BEFORE.finditer(before))


def _addressed(name: Sequence[Morpheme], rest: str) -> bool:
    """Say whether a title stands right after. 千葉 is a place, but 千葉さん is somebody."""
    title = _AFTER.match(rest.removeprefix(" "))
    return title is not None and (title[0] in _CALLED or any(map(_is_personal, name)))


def _after_separator(units: Sequence[Morpheme], end: int) -> int:
    """Return where the next name of a list would start; -1 if the list is over."""
    position = end
    while position < len(units) and (
        units[position].surface() in _SEPARATORS or _AFTER.fullmatch(units[position].surface())
    ):
        position += 1
    return position if position > end else -1
