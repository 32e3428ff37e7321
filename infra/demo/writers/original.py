"""Reads an original: Markdown, with an optional YAML head for what Markdown cannot say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

EPOCH = 1_772_323_200  # 2026-03-01T00:00:00Z: the time every file claims, so that bytes never change


@dataclass(frozen=True, slots=True)
class Heading:
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """A block quotation: what a speaker says, not what a slide shows."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    rows: tuple[tuple[str, ...], ...]  # the first is the head; "^" continues the cell above


@dataclass(frozen=True, slots=True)
class PageBreak:
    pass


Block = Heading | Paragraph | Note | Table | PageBreak


@dataclass(frozen=True, slots=True)
class Original:
    head: dict[str, str]
    body: str

    @classmethod
    def read(cls, path: Path) -> Original:
        text = path.read_text(encoding="utf-8")
        if not text.startswith("---\n"):
            return cls({}, text)
        head, body = text.removeprefix("---\n").split("\n---\n", 1)
        return cls(yaml.load(head, Loader=yaml.BaseLoader), body)

    @property
    def blocks(self) -> tuple[Block, ...]:
        return tuple(_blocks(MarkdownIt().enable("table").parse(self.body)))

    @property
    def is_japanese(self) -> bool:
        return any("ぁ" <= character <= "ヿ" for character in self.body)

    @property
    def title(self) -> str:
        return next(block.text for block in self.blocks if isinstance(block, Heading))


def sections(blocks: Sequence[Block], level: int) -> Iterator[tuple[str, list[Block]]]:
    """Yield (heading, blocks below it) for each heading of `level`; what comes before the first is left."""
    title, below = "", list[Block]()
    for block in blocks:
        if isinstance(block, Heading) and block.level == level:
            if title:
                yield title, below
            title, below = block.text, []
        else:
            below.append(block)
    if title:
        yield title, below


def _blocks(tokens: Sequence[Token]) -> Iterator[Block]:
    for start, token in enumerate(tokens):
        if token.type == "heading_open":
            yield Heading(int(token.tag[1:]), tokens[start + 1].content)
        elif token.type == "paragraph_open":
            lines = tuple(tokens[start + 1].content.splitlines())
            yield Note(lines) if token.level else Paragraph(lines)
        elif token.type == "hr":
            yield PageBreak()
        elif token.type == "table_open":
            yield Table(_rows(tokens[start:]))


def _rows(tokens: Sequence[Token]) -> tuple[tuple[str, ...], ...]:
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "table_close":
            break
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(token.content)
    return tuple(map(tuple, rows))
