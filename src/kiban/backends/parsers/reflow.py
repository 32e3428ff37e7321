"""Undo line wrapping: a sentence broken at the margin becomes one line again."""

from __future__ import annotations

import re
from collections.abc import Sequence

_WIDE = re.compile("[\u2e80-\uff60\uffe0-\uffe6\U0001f300-\U0003ffff]")  # as UAX 11 has it, roughly
_FULL = 0.8  # a line at least this share of the usual full width was cut by the margin, not by its author
_ENDED = re.compile(r"[。．！？!?:：;」』】）)]\s*$|\.\s*$")
_STARTS_ANEW = re.compile(
    r"\s*([-*+・•●■◆▼○◎※→【]|[0-9０-９]+([.．)）、](?![0-9０-９])|\s)|[（(][0-9０-９一二三四五六七八九十a-zア-ン]+[)）]|[①-⑳]|第[0-9０-９一二三四五六七八九十百]+[編章節条項])"
)
_NARROWEST = 30  # columns; shorter lines are a list, not wrapped prose
_AROUND = 5  # lines looked at on either side, since columns and footnotes have their own margins


def reflow(text: str) -> str:
    """Return the text with wrapped lines joined; blank lines and list items stay where they are."""
    lines = [line.rstrip() for line in text.split("\n")]
    widths = [columns(line) for line in lines]
    joined = lines[:1]
    for number in range(1, len(lines)):
        if widths[number - 1] >= _FULL * _margin(widths, number) and _continues(
            lines[number - 1], lines[number]
        ):
            joined[-1] = join(joined[-1], lines[number].strip())
        else:
            joined.append(lines[number])
    return "\n".join(joined)


def _margin(widths: Sequence[int], number: int) -> float:
    """Return the width that lines around here are wrapped at: the second widest, since one may stand out."""
    around = sorted(widths[max(number - _AROUND, 0) : number + _AROUND], reverse=True)
    margin = around[1] if len(around) > 2 and around[1] >= around[0] / 2 else around[0]
    return max(margin, _NARROWEST)


def join(left: str, right: str) -> str:
    """Join two halves of a line: Japanese touches, Latin words take a space, a hyphenated word heals."""
    if re.search(r"[a-z]-$", left) and right[:1].islower():
        return left[:-1] + right
    touches = _is_wide(left[-1:]) or _is_wide(right[:1])
    return left + ("" if touches else " ") + right


def columns(line: str) -> int:
    """Return the width of a line in terminal columns: a full-width character takes two."""
    return len(line) + len(_WIDE.findall(line))


def _continues(previous: str, line: str) -> bool:
    if not previous.strip() or not line.strip():
        return False
    return not (_ENDED.search(previous) or _STARTS_ANEW.match(line))


def _is_wide(character: str) -> bool:
    return _WIDE.match(character) is not None
