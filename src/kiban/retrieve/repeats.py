"""Leave out passages that say nothing which a better one has not said: the same regulation in five folders.

Decided among the passages that were found for one person, so nothing depends on what they may not read.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from kiban.domain.question import Passage

SHINGLE = 5  # characters; Japanese has no spaces to count words by
SAID_BEFORE = 0.9  # share of a passage's shingles that another must hold (containment; Broder 1997)
FEWEST = 20  # shingles; shorter passages are left alone

_SIGN = re.compile(r"[\W_]+")
# What must not differ at all: numbers, codes, and whether something is denied.
_FACT = re.compile(
    r"[a-z]*\d+(?:[.,]\d+)*[a-z]*|[〇一二三四五六七八九十百千万億]+|ない|なく|なけれ|ません|ぬ|不|非|未|無|禁|"
    r"\b(?:not|no|never|without|except|unless|must|may|shall|should)\b|n't"
)


@dataclass(frozen=True, slots=True)
class _Print:
    """What of a text is compared."""

    shingles: frozenset[str]
    facts: Counter[str]

    def is_said_by(self, other: _Print) -> bool:
        if len(self.shingles) < FEWEST or not self.facts <= other.facts:
            return False
        return len(self.shingles & other.shingles) >= SAID_BEFORE * len(self.shingles)


def without_repeats(found: Iterable[Passage], limit: int) -> list[Passage]:
    """Return the best `limit` passages, best first, none of which an earlier one contains.

    A passage with another number, code or negation than the better one is never left out: this year's
    regulation stays beside last year's.
    """
    kept: list[Passage] = []
    prints: list[_Print] = []
    for passage in found:
        print_ = _print(passage.original)
        if not any(print_.is_said_by(earlier) for earlier in prints):
            kept.append(passage)
            prints.append(print_)
        if len(kept) == limit:
            break
    return kept


def says_the_same(text: str, earlier: str) -> bool:
    """Tell whether a text says nothing that an earlier one does not."""
    return _print(text).is_said_by(_print(earlier))


def _print(text: str) -> _Print:
    plain = unicodedata.normalize("NFKC", text).casefold()
    letters = _SIGN.sub("", plain)
    shingles = (letters[start : start + SHINGLE] for start in range(len(letters) - SHINGLE + 1))
    return _Print(frozenset(shingles), Counter(_FACT.findall(plain)))
