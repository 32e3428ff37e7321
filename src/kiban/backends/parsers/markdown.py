"""Markdown (markdown-it-py, CommonMark with tables)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile

from markdown_it import MarkdownIt
from markdown_it.token import Token

from kiban.backends.parsers.html import read_markup
from kiban.backends.parsers.outline import Outline, table_lines
from kiban.backends.parsers.plaintext import decode
from kiban.backends.parsers.reflow import join
from kiban.domain.document import ParsedDocument
from kiban.errors import EmptyFile

_MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def read_markdown(content: bytes, stem: str) -> ParsedDocument:
    title, body = _front_matter(decode(content))
    outline = Outline()
    tokens = iter(_MARKDOWN.parse(body))
    bullet = ""
    slugs: Counter[str] = Counter()
    for token in tokens:
        if token.type == "heading_open":
            heading = _plain(next(tokens))
            outline.heading(int(token.tag[1]), heading, _slug(heading, slugs))
        elif token.type == "table_open":
            rows = _rows(list(takewhile(lambda inner: inner.type != "table_close", tokens)))
            for line in table_lines(rows, header=True):
                outline.add(line)
        elif token.type == "list_item_open":
            bullet = f"{token.info}{token.markup} " if token.info else "・"
        elif token.type == "inline":
            outline.add(bullet + _plain(token))
            bullet = ""
        elif token.type in ("fence", "code_block"):
            outline.add(token.content)
        elif token.type == "html_block":
            outline.add(_markup(token.content))
    return outline.document(title or stem)


def _plain(inline: Token) -> str:
    text = ""
    for token in inline.children or ():
        if token.type in ("text", "code_inline", "image"):
            text += token.content
        elif token.type == "softbreak":
            text += "\n"
        elif token.type == "hardbreak":
            text += "\n\n"
    return "\n".join(_unwrapped(line) for line in text.split("\n\n"))


def _slug(heading: str, seen: Counter[str]) -> str:
    """Return what hosts of Markdown make of a heading as an anchor; the second of a kind ends in "-1"."""
    slug = re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
    seen[slug] += 1
    return f"{slug}-{seen[slug] - 1}" if seen[slug] > 1 else slug


def _markup(block: str) -> str:
    try:
        return "\n".join(section.text for section in read_markup(block, "").sections)
    except EmptyFile:  # a comment
        return ""


def _unwrapped(text: str) -> str:
    whole, *rest = text.split("\n")
    for line in rest:
        whole = join(whole, line)
    return whole


def _rows(tokens: Sequence[Token]) -> list[list[str]]:
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(_plain(token))
    return rows


def _front_matter(text: str) -> tuple[str, str]:
    """Return the title that a "---" block at the top names, and the text after it."""
    if not text.startswith("---\n") or "\n---" not in text[3:]:
        return "", text
    head, _, body = text[4:].partition("\n---")
    titles = [line[6:].strip().strip("\"'") for line in head.split("\n") if line.startswith("title:")]
    return (titles[0] if titles else ""), body.partition("\n")[2]
