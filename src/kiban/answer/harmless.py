"""Take the teeth out of an answer: whoever renders it as Markdown makes no request and gets nothing to click.

A document can tell the model to write a picture whose address holds a secret, and a client that renders
Markdown fetches it without a click (EchoLeak, CVE-2025-32711). Which clients render is not ours to choose, so
nothing active leaves: the sign that would begin a picture, a link's address, a tag, a character reference or
an address becomes its full-width twin. People read the same, and the twin has the same NFKC form, so
quotations can still be compared. Signs that nobody sees go (Unicode tags, which hide instructions, and those
that turn the direction of writing).

What is shown as a source beside an answer stays letter by letter as it stands in the document.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from kiban.domain.question import Answer, Form

_UNSEEN = re.compile("[\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")
# A backslash before a sign of punctuation is gone once Markdown is rendered, so it may stand in between.
_ACTIVE = re.compile(
    r"<(?=[A-Za-z/!?])"  # a tag, a comment, <https://…>
    r"|!(?=\[)"  # a picture
    r"|(?<=\])[(:]"  # the address of a link; a reference's definition
    r"|&(?=#?[0-9A-Za-z]{1,32};)"  # a character written as a reference, of which an address could be made
    r"|:(?=\\?/\\?/)"  # https://
    r"|(?<=[wW]{3})\.|(?<=[wW]{3}\\)\."  # www.
)
# What may become one of these with the next piece.
_BEGUN = re.compile(r"(?:[<!]|&#?[0-9A-Za-z]{0,32}|:\\?/?\\?)\Z")
_LOOKED_BEHIND = 4  # characters
_TO_FULL_WIDTH = 0xFEE0


def harmless(text: str) -> str:
    """Return a whole text that no renderer of Markdown or HTML makes anything active of."""
    return _ACTIVE.sub(lambda sign: chr(ord(sign[0]) + _TO_FULL_WIDTH), _UNSEEN.sub("", text))


class HarmlessStream:
    """The same piece by piece. However the text is cut, the same comes out."""

    def __init__(self) -> None:
        self._before = ""  # what was taken last, as it came
        self._held = ""

    def feed(self, piece: str) -> str:
        """Take what comes next; return what may be shown now."""
        text = self._held + _UNSEEN.sub("", piece)
        begun = _BEGUN.search(text)
        return self._release(text, begun.start() if begun else len(text))

    def finish(self) -> str:
        """Return the rest."""
        return self._release(self._held, len(self._held))

    def _release(self, text: str, end: int) -> str:
        before = len(self._before)
        shown = harmless(self._before + text)[before : before + end]  # sign by sign, so places stay
        self._before = (self._before + text[:end])[-_LOOKED_BEHIND:]
        self._held = text[end:]
        return shown


async def harmlessly(answering: AsyncGenerator[str | Answer], form: Form) -> AsyncGenerator[str | Answer]:
    """Pass an answer on without anything active in its text.

    One that follows a schema is data for a program and no text for people: it passes as it is.
    """
    stream, shown = HarmlessStream(), list[str]()
    async with aclosing(answering):
        async for piece in answering:
            if form.schema:
                yield piece
                continue
            text = stream.feed(piece) if isinstance(piece, str) else stream.finish()
            if text:
                shown.append(text)
                yield text
            if isinstance(piece, Answer):
                yield replace(piece, text="".join(shown))
