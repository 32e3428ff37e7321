"""Cut a parsed document into chunks: along its places, its lines and the ends of its sentences.

Sizes are counted in full-width characters; a Latin letter counts 0.4, since that is about what it costs an
embedder in tokens. The standard target of 250 is then about 150 tokens, its most of 350 about 220.

Chunks do not overlap. A sentence is never cut, a chunk carries its title and headings into what is embedded
and indexed, and a quotation then has exactly one chunk it comes from: overlap would store every fact twice,
let two copies of it crowd others out of the best ten, and make "the gold chunk" ambiguous when judging.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from kiban.domain.document import SECTION_BREAK, Chunk, ParsedDocument, Place
from kiban.domain.question import Passage
from kiban.domain.text import Span, normal_form
from kiban.errors import SettingsError
from kiban.ports import Tokenizer

LONGEST = 700  # about 420 tokens: an embedder that reads 512 sees the whole chunk and its headings
_NARROW = 0.4
_NAMED = re.compile(r"(?:lines-and-sentences-)?(?P<target>\d{1,4})-(?P<most>\d{1,4})(?:-1)?")


@dataclass(frozen=True, slots=True)
class Chunking:
    """How large chunks become, in full-width characters. Its name says all that decides where text is cut."""

    target: int
    most: int

    @property
    def name(self) -> str:
        return f"lines-and-sentences-{self.target}-{self.most}-1"

    @classmethod
    def named(cls, name: str) -> Chunking:
        """Return the chunking of a name, or of "250-350" for short. Raises SettingsError."""
        found = _NAMED.fullmatch(name)
        sizes = (int(found["target"]), int(found["most"])) if found else (0, 0)
        if not 20 <= sizes[0] <= sizes[1] <= LONGEST:
            raise SettingsError(
                f"chunking {name}: give target and most, 20 ≤ target ≤ most ≤ {LONGEST}, such as 250-350."
            )
        return cls(*sizes)


STANDARD = Chunking(250, 350)
CHUNKING = STANDARD.name
TARGET, MAX = float(STANDARD.target), float(STANDARD.most)

_OPENING, _CLOSING = "「『（(【〔［[", "」』）)】〕］]"
_MARK = re.compile(
    rf"(?P<open>[{re.escape(_OPENING)}])|(?P<close>[{re.escape(_CLOSING)}])|(?P<end>[。！？!?]+|．(?!\d)|\.)"
)
_CLOSERS = re.compile(rf"[{re.escape(_CLOSING)}\"'”’]*")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|No|Nos|Fig|Figs|Tab|Eq|Sec|Ch|Vol|vol|pp|p|ed|eds|etc|cf|vs|approx|"
    r"Inc|Ltd|Co|Corp|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|e\.g|i\.e|et al|al|U\.S)$"
)
_SOFT_BREAK = re.compile(r"[、，,;；]|\s")


def cut(document: ParsedDocument, tokenizer: Tokenizer, chunking: Chunking = STANDARD) -> tuple[Chunk, ...]:
    """Return the chunks of a document in reading order, none across two places.

    Lexical terms are those of the title, of where the chunk stands, and of its text: a reader asks for
    "旅費規程 第6条", and the words of the article itself say neither.
    """
    text = document.text
    title_terms = tokenizer.terms(document.title)
    chunks: list[Chunk] = []
    offset = 0
    for section in document.sections:
        place_terms = tokenizer.terms(_where(section.place))
        end: int | None = None
        for span in cut_text(section.text, chunking):
            original = span.of(section.text)
            normalised = normal_form(original).text
            terms = (*title_terms, *place_terms, *tokenizer.terms(normalised))
            lead = None if end is None else section.text[end : span.start]
            place, at = section.place, span.shifted(offset)
            chunks.append(Chunk(len(chunks), at, place, original, normalised, terms, lead=lead))
            end = span.end
        offset += len(section.text) + len(SECTION_BREAK)
    assert all(chunk.span.of(text) == chunk.original for chunk in chunks)
    return tuple(chunks)


def embedding_text(title: str, chunk: Chunk | Passage) -> str:
    """Return what is embedded: "title › where it stands" on a line, then the text."""
    where = _where(chunk.place)
    context = " › ".join(part for part in (title, where) if part)
    return f"{unicodedata.normalize('NFKC', context)}\n{chunk.normalised}"


def cut_text(text: str, chunking: Chunking = STANDARD) -> list[Span]:
    """Return the spans of one section's chunks: whole units packed evenly, up to `chunking.most` each."""
    units = list(_units(text, chunking.most))
    sizes = [size(unit.of(text)) for unit in units]
    pieces = max(1, round(sum(sizes) / chunking.target))
    goal = sum(sizes) / pieces
    spans: list[Span] = []
    start, filled = 0, 0.0
    for number, unit_size in enumerate(sizes):
        if number > start and (filled >= goal or filled + unit_size > chunking.most):
            spans.append(Span(units[start].start, units[number - 1].end))
            start, filled = number, 0.0
        filled += unit_size
    if units:
        spans.append(Span(units[start].start, units[-1].end))
    return spans


def size(text: str) -> float:
    """Return the length of a text in full-width characters."""
    narrow = sum(character < "\u2e80" for character in text)
    return len(text) - narrow * (1 - _NARROW)


def sentences(text: str) -> list[Span]:
    """Return the sentences of a line, by Japanese and English ends outside brackets."""
    ends = [0, *_sentence_ends(text), len(text)]
    return [span for start, end in pairwise(ends) if (span := _stripped(text, Span(start, end)))]


def _units(text: str, most: float) -> Iterator[Span]:
    """Yield what is kept whole: a line (a paragraph, a table row), or the sentences of one above `most`."""
    for line in re.finditer(r"[^\n]+", text):
        span = _stripped(text, Span(*line.span()))
        if span is None:
            continue
        if size(span.of(text)) <= most:
            yield span
            continue
        for sentence in sentences(span.of(text)):
            yield from _bearable(text, sentence.shifted(span.start), most)


def _bearable(text: str, sentence: Span, most: float) -> Iterator[Span]:
    """Cut a sentence that alone exceeds `most` at its last comma or space that fits, else anywhere."""
    while size(sentence.of(text)) > most:
        cut_at = _soft_cut(text, sentence, most)
        if piece := _stripped(text, Span(sentence.start, cut_at)):
            yield piece
        sentence = Span(cut_at, sentence.end)
    if piece := _stripped(text, sentence):
        yield piece


def _soft_cut(text: str, sentence: Span, most: float) -> int:
    filled, fits = 0.0, sentence.start
    while filled + size(text[fits]) <= most:
        filled += size(text[fits])
        fits += 1
    soft = [
        match.end()
        for match in _SOFT_BREAK.finditer(text, sentence.start + (fits - sentence.start) // 2, fits)
    ]
    if soft:
        return soft[-1]
    while fits > sentence.start + 1 and unicodedata.combining(text[fits]):
        fits -= 1
    return fits


def _sentence_ends(text: str) -> Iterator[int]:
    depth = 0
    position = 0
    while mark := _MARK.search(text, position):
        position = mark.end()
        if mark["open"]:
            depth += 1
        elif mark["close"]:
            depth = max(depth - 1, 0)
        elif depth == 0 and _ends(text, mark):
            position = _CLOSERS.match(text, position).end()  # type: ignore[union-attr]
            yield position


def _ends(text: str, mark: re.Match[str]) -> bool:
    """Say whether a mark ends a sentence: an ASCII one needs a space after it and no abbreviation before."""
    if mark[0][0] not in ".!?":
        return True
    rest = text[mark.end() :].lstrip("\"'”’)")
    if rest and not rest[0].isspace() and rest[0] < "\u2e80":
        return False
    return mark[0] != "." or not _ABBREVIATION.search(text[: mark.start()])


def _stripped(text: str, span: Span) -> Span | None:
    content = span.of(text)
    start = span.start + len(content) - len(content.lstrip())
    end = start + len(content.strip())
    return Span(start, end) if end > start else None


def _where(place: Place) -> str:
    return " › ".join(part for part in (place.sheet, place.heading.replace(" > ", " › ")) if part)
