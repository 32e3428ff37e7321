"""Lexical terms of Japanese and English text (SudachiPy, short units, normalised forms)."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterator
from functools import cache

from sudachipy import Dictionary, Morpheme, SplitMode
from sudachipy import Tokenizer as Sudachi

from kiban.errors import SettingsError

_MODES = {"A": SplitMode.A, "B": SplitMode.B, "C": SplitMode.C}
_NAMED = re.compile("sudachi-core-(?P<mode>[ABC])-1")
_LONGEST = 12_000  # characters a call: Sudachi takes 49,149 bytes, and a character is at most 4
_PARTICLES = ("助詞", "助動詞")
_SYMBOLS = ("補助記号", "記号", "空白")
# Names of things: PPR-9087, ISO-9001, 3M_2018_10K, v1.2.3, tanaka@example.com.
_CODE = re.compile(r"(?<![a-z0-9])[a-z0-9]+(?:[-_./@:#+]+[a-z0-9]+)+(?![a-z0-9])")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_WORD = re.compile(r"[a-z]+")
_PARTS = re.compile(r"[a-z]+|\d+")
_ARTICLE = ("編", "章", "節", "条", "項", "号", "回", "版")
_STOP = frozenset(
    "a an and are as at be but by for from has have how in is it its of on or that the this to was were what "
    "when where which who will with".split()
)


@cache
def _dictionary() -> Dictionary:
    """Return the dictionary of every tokeniser in this process: each one opened maps 200 MB of its own."""
    return Dictionary(dict="core")


class SudachiTokenizer:
    """Implements `ports.Tokenizer`: NFKC, case folded, particles and punctuation dropped.

    Besides the units Sudachi cuts, a code counts as a whole and by its parts, and 第6条 counts as a whole.
    """

    def __init__(self, mode: str = "A") -> None:
        """`mode` is Sudachi's: A for the shortest units, C for the longest."""
        self.name = f"sudachi-core-{mode}-1"
        self._mode = _MODES[mode]
        self._dictionary = _dictionary()
        self._local = threading.local()  # a Sudachi tokenizer serves one thread at a time

    @classmethod
    def named(cls, name: str) -> SudachiTokenizer:
        """Return the tokeniser of a name, such as "sudachi-core-A-1". Raises SettingsError."""
        found = _NAMED.fullmatch(name)
        if not found:
            raise SettingsError(f"tokeniser {name}: there is sudachi-core-A-1, -B-1 and -C-1.")
        return cls(found["mode"])

    def terms(self, text: str) -> list[str]:
        text = unicodedata.normalize("NFKC", text).casefold()
        found: list[str] = []
        end = 0
        for code in _CODE.finditer(text):
            if not _NUMBER.fullmatch(code[0]) and not _is_prose(code[0]):
                found += self._units(text[end : code.start()])
                found += [code[0], *map(stem, _PARTS.findall(code[0]))]
                end = code.end()
        return found + self._units(text[end:])

    def borders(self, text: str) -> frozenset[int]:
        """Return where words begin or end in a text in NFKC, its own ends included."""
        found, start = {0, len(text)}, 0
        for piece in _pieces(text):
            found.update(start + unit.end() for unit in self._sudachi.tokenize(piece))
            start += len(piece)
        return frozenset(found)

    def _units(self, text: str) -> list[str]:
        units: list[str] = []
        for piece in _pieces(text):
            for unit in self._sudachi.tokenize(piece):
                if _speaks(unit):
                    units.append(_normal(unit.surface(), unit.normalized_form()))
        return list(_with_articles([unit for unit in units if unit]))

    @property
    def _sudachi(self) -> Sudachi:
        if not hasattr(self._local, "sudachi"):
            self._local.sudachi = self._dictionary.tokenizer(mode=self._mode)
        sudachi: Sudachi = self._local.sudachi
        return sudachi


def stem(word: str) -> str:
    """Take plural and verb endings off an English word, leaving what might be its own.

    The plural rules follow the S stemmer of Harman, "How effective is suffixing?", JASIS 42(1), 1991.
    """
    if not _WORD.fullmatch(word) or len(word) < 4:
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        word = word[:-3] + "y"
    elif word.endswith(("xes", "ches", "shes", "sses")):
        word = word[:-2]
    elif word.endswith("es") and not word.endswith(("aes", "ees", "oes")):
        word = word[:-1]
    elif word.endswith("s") and not word.endswith(("us", "ss", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        rest = word.removesuffix(ending)
        if rest != word and len(rest) >= 4 and re.search("[aeiouy]", rest):
            word = rest[:-1] if rest[-1] == rest[-2] and rest[-1] not in "lsz" else rest
            break
    return word.removesuffix("e") if len(word) >= 5 else word


def _speaks(unit: Morpheme) -> bool:
    """Say whether a unit finds anything. Kanji that Sudachi does not know (𠮟) it calls symbols."""
    kind = unit.part_of_speech()[0]
    return kind not in _PARTICLES and (kind not in _SYMBOLS or unit.surface().isalnum())


def _normal(surface: str, form: str) -> str:
    """Return a unit's term. An English word keeps its script: Sudachi makes パンプス, shoes, of "pumps"."""
    if _WORD.fullmatch(surface):
        return stem(surface) if surface not in _STOP else ""
    return "".join(form.casefold().split())


def _is_prose(code: str) -> bool:
    """Say whether this is words that touch, "and/or", and not the name of a thing."""
    return not re.search(r"[\d_@]", code)


def _with_articles(units: list[str]) -> Iterator[str]:
    """Yield the units, and after 第, 6, 条 also 第6条."""
    for number, unit in enumerate(units):
        yield unit
        if number > 1 and unit in _ARTICLE and units[number - 2] == "第" and units[number - 1].isdecimal():
            yield f"第{units[number - 1]}{unit}"


def _pieces(text: str) -> Iterator[str]:
    """Cut text into pieces that Sudachi takes, at a line's end where there is one."""
    while len(text) > _LONGEST:
        cut = max(text.rfind("\n", 0, _LONGEST), text.rfind("。", 0, _LONGEST)) + 1 or _LONGEST
        yield text[:cut]
        text = text[cut:]
    yield text
