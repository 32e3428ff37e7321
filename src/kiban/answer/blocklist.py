"""Find the words of a blocklist in Japanese and English text, as people write them.

Compared is the NFKC form without case (full-width and half-width are one), without signs that are unseen and,
for Japanese words, without what may be put between their letters: 爆 弾 and 爆・弾 are 爆弾. Whatever matches
must begin and end where words do: バス is not in バスケット, nor ass in class. English tells words by their
letters, Japanese by a tokeniser.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kiban.domain.policy import Rule

Borders = Callable[[str], frozenset[int]]  # where words begin or end in a text, its own ends included
AHEAD = 8  # characters behind a match that may still change where its last word ends

_JAPANESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_BETWEEN = "・･*_.-‐|/"


@dataclass(frozen=True, slots=True)
class Match:
    """Characters [start, end) of a text, which break a rule."""

    rule: Rule
    start: int
    end: int


class Blocklist:
    """The words of several rules."""

    def __init__(self, rules: Sequence[Rule], borders: Borders) -> None:
        """Words of nothing but signs are left out: they would match everything."""
        self._borders = borders
        self._packed: list[tuple[Rule, str]] = []
        self._spaced: list[tuple[Rule, re.Pattern[str]]] = []
        for rule in rules:
            for word in rule.words:
                form = _plain(word)[0]
                if _JAPANESE.search(form) and (packed := _pack(form)[0]):
                    self._packed.append((rule, packed))
                elif parts := form.split():
                    spelt = r"\s+".join(map(re.escape, parts))
                    self._spaced.append((rule, re.compile(rf"(?<![a-z0-9]){spelt}(?![a-z0-9])")))
        self.longest = max([len(word) for rule in rules for word in rule.words], default=0)

    def find(self, text: str) -> Match | None:
        """Return the first match in a text, if there is one."""
        if not self.longest:
            return None
        form, origin = _plain(text)
        found = sorted(self._matches(form), key=lambda match: match.start)
        return next((Match(m.rule, origin[m.start], origin[m.end - 1] + 1) for m in found), None)

    def _matches(self, form: str) -> Iterator[Match]:
        for rule, pattern in self._spaced:
            for hit in pattern.finditer(form):
                yield Match(rule, hit.start(), hit.end())
        if not self._packed:
            return
        packed, origin = _pack(form)
        hits = [(rule, at, len(word)) for rule, word in self._packed for at in _places(word, packed)]
        borders = self._borders(form) if hits else frozenset()
        for rule, at, length in hits:
            start, end = origin[at], origin[at + length - 1] + 1
            if start in borders and end in borders:
                yield Match(rule, start, end)


def _places(word: str, text: str) -> Iterator[int]:
    at = text.find(word)
    while at >= 0:
        yield at
        at = text.find(word, at + 1)


def _plain(text: str) -> tuple[str, list[int]]:
    """Return the form that is compared, and where each of its characters comes from."""
    form: list[str] = []
    origin: list[int] = []
    for at, character in enumerate(text):
        if unicodedata.category(character) == "Cf":
            continue
        # ﾊﾞ is two characters and バ one, so a mark joins what it stands behind.
        if character in "ﾞﾟ\u3099\u309a" and form:
            mark = "\u3099" if character in "ﾞ\u3099" else "\u309a"
            joined = unicodedata.normalize("NFC", form[-1] + mark)
            form[-1] = joined if len(joined) == 1 else form[-1]
            continue
        plain = unicodedata.normalize("NFKC", character).casefold()
        form += plain
        origin += [at] * len(plain)
    return "".join(form), origin


def _pack(form: str) -> tuple[str, list[int]]:
    kept = [at for at, sign in enumerate(form) if not sign.isspace() and sign not in _BETWEEN]
    return "".join(form[at] for at in kept), kept
