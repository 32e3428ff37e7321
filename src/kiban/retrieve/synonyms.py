"""The company's own abbreviations, spelt out beside the question."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from kiban.domain.question import Synonyms

WEIGHT = 0.3  # of the question spelt out


def spelt_out(question: str, known: Synonyms) -> str:
    """Return the question with each known word replaced by its others; "" when it holds none."""
    text = _plain(question)
    spelt = text
    for group in known.groups:
        spelt = _replaced(spelt, [_plain(word) for word in group])
    return spelt if spelt != text else ""


def _replaced(text: str, group: Iterable[str]) -> str:
    """Replace the longest word of the group that occurs by the others."""
    words = list(group)
    for word in sorted(words, key=len, reverse=True):
        escaped = re.escape(word)
        occurrence = re.compile(rf"(?<![a-z0-9]){escaped}(?![a-z0-9])" if word.isascii() else escaped)
        if occurrence.search(text):
            return " ".join(other for other in words if other != word).join(occurrence.split(text))
    return text


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
