"""Texts that say nearly the same, found by the runs of characters they share."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable

SHINGLE = 5  # characters; Japanese has no spaces to count words by
_SIGN = re.compile(r"[\W_]+")
_FIGURE = re.compile(r"[a-z]*\d[\da-z.,-]*|[〇一二三四五六七八九十百千万億]+")


class Overlap:
    """A growing set of texts that others are compared with.

    Exact, by postings of shingles (Broder 1997), where MinHash would estimate: a curriculum has thousands
    of short questions, not millions of documents.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._sizes: list[int] = []
        self._figures: list[Counter[str]] = []
        self._holders: dict[str, list[int]] = defaultdict(list)
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        shingles = _shingles(text)
        for shingle in shingles:
            self._holders[shingle].append(len(self._sizes))
        self._sizes.append(len(shingles))
        self._figures.append(_figures(text))

    def resembles(self, text: str, share: float) -> bool:
        """Tell whether one of the texts has `share` of all shingles in common with `text` (Jaccard), and the
        same figures: two rules that differ in a number are two rules."""
        shingles, figures = _shingles(text), _figures(text)
        return any(
            common >= share * (len(shingles) + self._sizes[other] - common)
            for other, common in self._common(shingles).items()
            if self._figures[other] == figures
        )

    def contains(self, text: str, share: float) -> bool:
        """Tell whether one of the texts holds `share` of the shingles of `text`."""
        shingles = _shingles(text)
        return any(common >= share * len(shingles) for common in self._common(shingles).values())

    def _common(self, shingles: frozenset[str]) -> Counter[int]:
        return Counter(other for shingle in shingles for other in self._holders.get(shingle, ()))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _figures(text: str) -> Counter[str]:
    return Counter(_FIGURE.findall(_plain(text)))


def _shingles(text: str) -> frozenset[str]:
    letters = _SIGN.sub("", _plain(text))
    starts = range(max(1, len(letters) - SHINGLE + 1))
    return frozenset(letters[start : start + SHINGLE] for start in starts)
