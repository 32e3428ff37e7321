"""Prove quotations: a number is shown only behind words that stand in the passage, letter by letter.

The model writes `「…」[n]` or `"…"[n]`. Compared as NFKC without white space, the words must be part of
passage n, or else of another passage that was shown, which is then cited instead. What a person sees are the
document's own characters, never the model's copy of them. Otherwise the words stay, without quotation marks
and number. A quotation as long as a sentence is held to this without a number too; a shorter one is a name or
a term and stays as written. A bare `[n]` proves nothing and is taken away.

Numbers are the passages' numbers in the prompt and are not counted anew: the n-th source shown beside the
answer is passage n, and two quotations from one passage carry the same number.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from kiban.domain.question import Citation, Passage
from kiban.domain.text import NormalForm, Span, normal_form

SHORTEST_QUOTE = 4  # characters; "はい" stands in every document and proves nothing
SENTENCE = 12  # characters from which on a quotation without a number must be verbatim too
LONGEST_QUOTE = 600  # characters held back while a quotation is open; longer ones are plain text
CLOSING = {"「": "」", "『": "』", "“": "”", '"': '"'}

_DIGIT = r"[0-9０-９①-⑳]"
_NUMBER = rf"[\[［【〔]\s*({_DIGIT}{{1,2}}(?:\s*[,，、]\s*{_DIGIT}{{1,2}})*)\s*[\]］】〕]"
_NUMBER_SO_FAR = r"[\[［【〔][0-9０-９①-⑳,，、\s]*"
_BARE_NUMBER = re.compile(_NUMBER)
_BARE_NUMBER_SO_FAR = re.compile(_NUMBER_SO_FAR)
_NUMBER_BEHIND = re.compile(rf"\s*([。．.]?)\s*{_NUMBER}")
_NUMBER_BEHIND_SO_FAR = re.compile(rf"\s*[。．.]?\s*({_NUMBER_SO_FAR})?")
_SPECIAL = re.compile(r"[「『“\"\[［【〔]")


@dataclass(frozen=True, slots=True)
class Verified:
    """What may be shown of what the model wrote."""

    text: str
    citations: tuple[Citation, ...]  # in order of appearance
    refused_quotes: int


def verify(raw: str, passages: Sequence[Passage]) -> Verified:
    """Verify every quotation of a whole answer."""
    verifier = StreamVerifier(passages)
    text = verifier.feed(raw) + verifier.finish()
    return Verified(text, tuple(verifier.citations), verifier.refused_quotes)


class StreamVerifier:
    """Verifies while the model still writes.

    Text outside quotations flows at once; a quotation is held back until it is closed and its number has
    been seen. However the answer is cut into pieces, the same text comes out.
    """

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.citations: list[Citation] = []
        self.refused_quotes = 0
        self._sources = [_Source(number, passage) for number, passage in enumerate(passages, start=1)]
        self._held = ""
        self._last = ""  # the character before `_held`
        self._ended = False

    def feed(self, piece: str) -> str:
        """Take what the model wrote next; return what may be shown now."""
        self._held += piece
        return "".join(self._releases())

    def finish(self) -> str:
        """The model has stopped: return the rest."""
        self._ended = True
        return "".join(self._releases())

    def _releases(self) -> Iterator[str]:
        while self._held:
            released = self._release()
            if released is None:
                return
            yield released

    def _release(self) -> str | None:
        """Take the next unit off the held text and return it as it may be shown; None: wait for more."""
        if self._opens_quotation():
            return self._quotation()
        if self._held[0] in "[［【〔":
            return self._number()
        special = _SPECIAL.search(self._held, 1)
        return self._take(special.start() if special else len(self._held))

    def _opens_quotation(self) -> bool:
        mark = self._held[0]
        inches = mark == '"' and self._last.isascii() and self._last.isalnum()
        return mark in CLOSING and not inches

    def _quotation(self) -> str | None:
        close = _closing_position(self._held)
        if close is None or close > LONGEST_QUOTE:
            may_close = not self._ended and len(self._held) <= LONGEST_QUOTE
            return None if may_close else self._take(1)
        behind = _NUMBER_BEHIND.match(self._held, close + 1)
        if behind:
            quotation = self._cited(self._held[: close + 1], behind[2])
            self._take(behind.end())
            return quotation + behind[1]
        if not self._ended and _NUMBER_BEHIND_SO_FAR.fullmatch(self._held, close + 1):
            return None
        quotation = self._take(close + 1)
        return self._cited(quotation, "") if len(quotation) >= SENTENCE else _without_numbers(quotation)

    def _number(self) -> str | None:
        number = _BARE_NUMBER.match(self._held)
        if number:
            self._take(number.end())
            return ""
        if not self._ended and _BARE_NUMBER_SO_FAR.fullmatch(self._held):
            return None
        return self._take(1)

    def _take(self, count: int) -> str:
        taken, self._held = self._held[:count], self._held[count:]
        self._last = taken[-1:] or self._last
        return taken

    def _cited(self, quotation: str, numbers: str) -> str:
        words = quotation[1:-1]
        citation = self._find(words, _integers(numbers))
        if citation is None:
            self.refused_quotes += 1
            return _without_numbers(words)
        self.citations.append(citation)
        return f"{quotation[0]}{citation.quote}{quotation[-1]}[{citation.number}]"

    def _find(self, words: str, numbers: Sequence[int]) -> Citation | None:
        """Look in the passages the model named, then in all others."""
        wanted = _comparable(words)
        if len(wanted) < SHORTEST_QUOTE:
            return None
        for source in sorted(self._sources, key=lambda source: source.number not in numbers):
            if span := source.find(wanted):
                quote = span.of(source.passage.original)
                return Citation(source.number, source.passage, quote, span.shifted(source.passage.span.start))
        return None


class _Source:
    """A passage as quotations are compared with it."""

    def __init__(self, number: int, passage: Passage) -> None:
        self.number = number
        self.passage = passage

    def find(self, wanted: str) -> Span | None:
        """Return where in the passage's original text `wanted`, in comparable form, stands."""
        start = self._bare.text.find(wanted)
        if start < 0:
            return None
        bare = self._bare.original(Span(start, start + len(wanted)))
        return Span(self._positions[bare.start], self._positions[bare.end - 1] + 1)

    @cached_property
    def _positions(self) -> list[int]:
        """Return where in the original the characters stand that are not spaces."""
        return [at for at, character in enumerate(self.passage.original) if not character.isspace()]

    @cached_property
    def _bare(self) -> NormalForm:
        # Spaces go first: a line may break between a half-width ｶ and its ﾞ.
        return normal_form("".join(self.passage.original[at] for at in self._positions))


def _comparable(words: str) -> str:
    return unicodedata.normalize("NFKC", "".join(words.split()))


def _without_numbers(words: str) -> str:
    return _BARE_NUMBER.sub("", words)


def _integers(numbers: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", unicodedata.normalize("NFKC", numbers))]


def _closing_position(text: str) -> int | None:
    """Return where the quotation that `text` begins with closes; marks of its own kind may nest."""
    opening, closing = text[0], CLOSING[text[0]]
    depth = 1
    for position, character in enumerate(text[1:], start=1):
        if character == closing:
            depth -= 1
        elif character == opening:
            depth += 1
        if depth == 0:
            return position
    return None
