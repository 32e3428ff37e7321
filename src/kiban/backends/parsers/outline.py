"""Collects what a parser reads, in reading order, under the headings it stands under."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import PurePosixPath

from kiban.domain.document import ParsedDocument, Place, Section

HEADING_BREAK = " > "
LONGEST_HEADING = 60  # characters; longer lines are text

# Headings of regulations written as plain lines: 第3章 旅費, 第6条(宿泊費), 【目的】, ■概要.
_ARTICLE = re.compile(
    r"第\s*[0-9０-９一二三四五六七八九十百]+\s*([編章節条])(の[0-9０-９一二三四五六七八九十]+)?"
)
_BRACKETED = re.compile(r"(【[^】]+】|[■◆●▼]\s*\S.*)$")
_NUMBERED = re.compile(
    r"\s*([0-9０-９]{1,2}(?:[.．][0-9０-９]{1,2})*)(?:[.．]|(?<=[.．][0-9０-９]))\s*(?=[^\s0-9０-９])"
)
_RANK = {"編": 1, "章": 2, "節": 3, "条": 4}
_BRACKETED_RANK = 5
_NUMBERED_RANK = 6  # and one more for every dot: 2.1 stands under 2
_SENTENCE_END = "。．.！？!?、,"


@dataclass(slots=True)
class _Block:
    path: tuple[str, ...]
    place: Place
    anchor: str
    lines: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Outline:
    """A document in the making. A heading becomes the place of what follows it; one with nothing under
    it becomes text, so that no word is lost."""

    _headings: list[tuple[int, str, str]] = field(default_factory=list)  # rank, text, anchor
    _blocks: list[_Block] = field(default_factory=list)
    _place: Place = field(default_factory=Place)
    _enclosed: list[Section] = field(default_factory=list)
    _unread: list[Place] = field(default_factory=list)

    def turn_to(self, place: Place) -> None:
        """Go to another page, sheet or slide. Headings go on unless `place` brings its own."""
        self._place = place
        self._open()

    def heading(self, level: int, text: str, anchor: str = "") -> None:
        text = " ".join(text.split())
        if text:
            self._headings = [heading for heading in self._headings if heading[0] < level]
            self._headings.append((level, text, anchor))
            self._open()

    def add(self, text: str) -> None:
        if text.strip():
            if not self._blocks:
                self._open()
            self._blocks[-1].lines.append(text.strip("\n"))

    def lines(self, text: str) -> None:
        """Add plain text, taking lines that look like headings for headings."""
        lines = [line for line in text.split("\n") if line.strip()]
        for before, line, after in zip(["", *lines], lines, [*lines[1:], ""], strict=False):
            if level := heading_level(line, before, after):
                self.heading(level, line)
            else:
                self.add(line)

    def enclose(self, name: str, document: ParsedDocument) -> None:
        """Put what an attachment or a member of an archive says at the end, under its name."""
        path = (name, document.title) if document.title not in ("", PurePosixPath(name).stem) else (name,)
        for section in document.sections:
            self._enclosed.append(Section(section.text, _within(path, name, section.place)))
        self._unread += [_within(path, name, place) for place in document.unread]

    def unread(self, place: Place) -> None:
        """Note a picture that may hold text, and that nobody has read."""
        self._unread.append(place)

    def document(self, title: str) -> ParsedDocument:
        """Return the document. A single top heading that comes first, or says the title, is the title
        and no place."""
        if root := self._root(title):
            title = root
            for block in self._blocks:
                block.anchor = block.anchor if len(block.path) > 1 else block.place.anchor
                block.path = block.path[1:]
        blocks = [block for number, block in enumerate(self._blocks) if self._speaks(number)]
        sections = (*(_section(block) for block in blocks), *self._enclosed)
        return ParsedDocument(title.strip(), sections, tuple(self._unread))

    def _open(self) -> None:
        path = tuple(name for _, name, _ in self._headings)
        anchor = self._place.anchor or (self._headings[-1][2] if self._headings else "")
        self._blocks.append(_Block(path, self._place, anchor))

    def _root(self, title: str) -> str:
        paths = [block.path for block in self._blocks if block.path or block.lines]
        roots = {path[0] for path in paths if path}
        if len(roots) != 1:
            return ""
        root = roots.pop()
        return root if paths[0] or root == title else ""

    def _speaks(self, number: int) -> bool:
        """Say whether a block has text; a heading that nothing stands under is given itself as text."""
        block = self._blocks[number]
        if block.lines:
            return True
        following = self._blocks[number + 1].path if number + 1 < len(self._blocks) else ()
        if not block.path or following[: len(block.path)] == block.path:
            return False
        block.lines.append(block.path[-1])
        block.path = block.path[:-1]
        return True


def heading_level(line: str, before: str = "", after: str = "") -> int:
    """Return the rank of a plain line that looks like a heading, 1 highest; 0 when it is text.

    "1. 目的" between two lines of text is a heading; beside "2. 範囲" it is an item of a list.
    """
    line = line.strip()
    if not line or len(line) > LONGEST_HEADING or line[-1] in _SENTENCE_END:
        return 0
    if article := _ARTICLE.match(line):
        rest = line[article.end() :]
        return _RANK[article[1]] if not rest or rest[0] in " 　（(:：" else 0
    if _BRACKETED.match(line):
        return _BRACKETED_RANK
    number = _number(line)
    if not number or not after:
        return 0
    parents_and_children = ("", number.rpartition(".")[0]), ("", f"{number}.1")
    if any(
        _number(beside) not in family
        for beside, family in zip((before, after), parents_and_children, strict=True)
    ):
        return 0
    return _NUMBERED_RANK + number.count(".")


def _number(line: str) -> str:
    """Return the number that a line begins with, "2.1"; "" when it has none or is a sentence."""
    line = unicodedata.normalize("NFKC", line).strip()
    numbered = _NUMBERED.match(line)
    return numbered[1] if numbered and line[-1] not in _SENTENCE_END else ""


def table_lines(rows: Sequence[Sequence[str]], *, header: bool | None = None) -> list[str]:
    """Render a table one row a line, "列: 値、列: 値", so that a row says what its values are even alone.

    `header` says whether the first row names the columns; None: judge by its looks.
    """
    rows = [[" ".join(cell.split()) for cell in row] for row in rows]
    rows = [row for row in rows if any(row)]
    if not rows:
        return []
    if header if header is not None else _looks_like_header(rows):
        names = rows[0]
        return [_labelled(names, row) for row in rows[1:]] or ["、".join(filter(None, names))]
    if all(len(row) == 2 for row in rows):
        return [": ".join(filter(None, row)) for row in rows]
    return ["、".join(filter(None, row)) for row in rows]


def _labelled(names: Sequence[str], row: Sequence[str]) -> str:
    cells = [
        f"{names[column]}: {cell}"
        if column < len(names) and names[column] and names[column] != cell
        else cell
        for column, cell in enumerate(row)
        if cell
    ]
    return "、".join(cell for cell, _ in groupby(cells))  # a merged cell says its value once


def _looks_like_header(rows: Sequence[Sequence[str]]) -> bool:
    names = rows[0]
    if len(rows) < 2 or len(names) < 2 or not all(names) or len(set(names)) < len(names):
        return False
    if any(_has_digit(name) and not re.search(r"[^\W\d]", name) for name in names):
        return False  # a bare number names no column
    if len(names) > 2:
        return True
    # Two columns are as often "label: value" lines. Values with digits under a name without one are a column.
    values = [row[1] for row in rows[1:] if len(row) > 1 and row[1]]
    digits = sum(_has_digit(value) for value in values)
    return not _has_digit(names[1]) and 2 * digits > len(values)


def _has_digit(text: str) -> bool:
    return any(character.isdigit() for character in text)


def _section(block: _Block) -> Section:
    heading = HEADING_BREAK.join(filter(None, (*block.path, block.place.heading)))
    place = replace(block.place, heading=heading, anchor=block.anchor)
    return Section("\n".join(block.lines), place)


def _within(path: Sequence[str], name: str, place: Place) -> Place:
    heading = HEADING_BREAK.join(filter(None, (*path, place.heading)))
    return replace(place, heading=heading, anchor="#".join(filter(None, (name, place.anchor))))
