"""A text as detectors read it: one width, one kind of hyphen between digits, and every character's origin."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kiban.domain.sensitive import Finding, Kind
from kiban.domain.text import NormalForm, Span, normal_form

_HYPHENS = "‐‑‒–—―−⁃ー﹣"
_BETWEEN_DIGITS = re.compile(rf"(?<=[\d)])(\s?)[{_HYPHENS}](?=\s?[\d(])")
_PLAIN = re.compile(r"[ -~\n\tぁ-ゖァ-ヾ一-鿿々〇、。「」『』・〔〕【】]*")  # what NFKC leaves as it is


@dataclass(frozen=True, slots=True)
class Reading:
    """`text` to search in, and the way back to the text as written."""

    text: str
    _form: NormalForm | None  # None: every character is where it was

    def finding(self, kind: Kind, start: int, end: int) -> Finding:
        span = Span(start, end)
        return Finding(kind, self._form.original(span) if self._form is not None else span)

    def before(self, position: int, length: int) -> str:
        return self.text[max(position - length, 0) : position]

    def around(self, start: int, end: int, length: int) -> str:
        return self.text[max(start - length, 0) : end + length]


def read(original: str) -> Reading:
    """Return the NFKC form of a text, its hyphens between digits made ASCII ones."""
    form = None if _PLAIN.fullmatch(original) else normal_form(original)
    return Reading(_BETWEEN_DIGITS.sub(r"\1-", form.text if form else original), form)
