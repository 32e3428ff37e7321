"""Text as people wrote it, and as machines compare it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Span:
    """Characters [start, end) of a text."""

    start: int
    end: int

    def of(self, text: str) -> str:
        return text[self.start : self.end]

    def shifted(self, by: int) -> Span:
        return Span(self.start + by, self.end + by)


@dataclass(frozen=True, slots=True)
class NormalForm:
    """The NFKC form of a text, with the way back: origin[i] is where character i of it came from."""

    text: str
    origin: tuple[int, ...]

    def original(self, span: Span) -> Span:
        """Return the shortest span of the original text that covers `span` of the normal form."""
        end = span.end
        while span.start < end < len(self.text) and self.origin[end] == self.origin[end - 1]:
            end += 1
        return Span(self.origin[span.start], self.origin[end])


def normal_form(original: str) -> NormalForm:
    """Normalise to NFKC (Unicode Annex 15) piece by piece, so that every character keeps its origin.

    A piece is a starter with the marks that combine with it (half-width ｶ and ﾞ are two characters,
    ガ is one), so the joined pieces are the NFKC form of the whole.
    """
    text: list[str] = []
    origin: list[int] = []
    for start, end in pairwise([*_piece_starts(original), len(original)]):
        piece = unicodedata.normalize("NFKC", original[start:end])
        text.append(piece)
        origin.extend([start] * len(piece))
    return NormalForm("".join(text), (*origin, len(original)))


def _piece_starts(original: str) -> list[int]:
    starts = [0] if original else []
    for position, character in enumerate(original[1:], start=1):
        combines = unicodedata.combining(unicodedata.normalize("NFKC", character)[:1] or " ")
        if not combines and character not in "ﾞﾟ":
            starts.append(position)
    return starts
