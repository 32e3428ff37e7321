"""Hold an answer to the company's policy while it is written: what must not be shown is never sent.

A word can only be told from its beginning, and a number from its end, so the last of the text is held back:
as many characters as the longest blocked word has, and where personal data is veiled or a model judges, up to
the end of a sentence.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial

from kiban.answer.blocklist import AHEAD, Blocklist
from kiban.answer.wording import WORDINGS, language
from kiban.domain.policy import Rule
from kiban.domain.question import Answer, Form
from kiban.domain.sensitive import Finding, Kind, mask, within
from kiban.domain.text import Span

LONGEST_HELD = 400  # characters without the end of a sentence
CONTEXT = 100  # of them that stay held when there are more
NO_VALUE = Rule("veiled value", ())  # JSON of which something had to be veiled that is no text
_SENTENCE_END = re.compile(r"[。．！？!?\n]|\.\s")

Find = Callable[[str], Sequence[Finding]]
Refuses = Callable[[str], str]  # a text to the label for which a model refuses it; "" for none


@dataclass(frozen=True, slots=True)
class Held:
    """What an answer to one person is held to."""

    blocked: Blocklist
    veiled: frozenset[Kind]
    find: Find
    refuses: Refuses | None = None

    @property
    def idle(self) -> bool:
        return not self.blocked.longest and not self.veiled and self.refuses is None


class Withholding:
    """Takes an answer piece by piece, and gives what may be shown."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._text = ""
        self._sent = 0  # characters of it
        self.refused: Rule | None = None

    def feed(self, piece: str) -> str:
        """Take what comes next; return what may be shown now. After `refused` is set, nothing may."""
        self._text += piece
        return self._release(self._decided())

    def finish(self) -> str:
        """Return the rest."""
        return self._release(len(self._text))

    def _release(self, end: int) -> str:
        if end <= self._sent and end < len(self._text):
            return ""
        ended = end == len(self._text)
        match = self._held.blocked.find(self._text)
        if match and (ended or match.end + AHEAD <= len(self._text)):
            self.refused = match.rule
            end = max(_sentence_end(self._text, match.start), self._sent)
        shown, end = self._veiled(end, ended=ended)
        if shown.strip() and self._held.refuses and (label := self._held.refuses(shown)):
            self.refused = self.refused or Rule(label, ())
            return ""
        self._sent = end
        return shown

    def _veiled(self, end: int, *, ended: bool) -> tuple[str, int]:
        """Return what may be shown of the text up to `end`, and up to where."""
        if not self._held.veiled:
            return self._text[self._sent : end], end
        found = [one for one in self._held.find(self._text[:end]) if one.kind in self._held.veiled]
        if not ended:  # what touches the end may go on behind it
            end = max(self._sent, min([end, *(one.span.start for one in found if one.span.end >= end)]))
        fresh = Span(self._sent, end)
        return mask(fresh.of(self._text), within(found, fresh)), end

    def _decided(self) -> int:
        """Return up to where nothing that comes can change what is to be thought of the text."""
        end = len(self._text)
        if longest := self._held.blocked.longest:
            end = _before_last(self._text, longest + AHEAD)
        if self._held.veiled or self._held.refuses:
            sentence = _sentence_end(self._text, end)
            too_long = len(self._text) - max(sentence, self._sent) > LONGEST_HELD
            end = min(end, len(self._text) - CONTEXT) if too_long else sentence
        return max(end, self._sent)


async def withhold(
    answering: AsyncGenerator[str | Answer], held: Held, question: str, release_id: str, form: Form
) -> AsyncGenerator[str | Answer]:
    """Pass an answer on as far as policy lets it; where it does not, end it with a notice and no sources.

    An answer that follows a schema is held back whole, since half a value is none.
    """
    kept = Withholding(held)
    passing = answering if held.idle else _value(answering, kept) if form.schema else _text(answering, kept)
    shown: list[str] = []
    async with aclosing(answering), aclosing(passing):  # whoever is refused stops the model
        async for piece in passing:
            if isinstance(piece, str):
                shown.append(piece)
            yield piece
    if kept.refused:
        notice = refusal(kept.refused, question, form, begun=bool(shown))
        if notice:
            yield notice
        yield refused(kept.refused, "".join([*shown, notice]), release_id)


async def _text(answering: AsyncGenerator[str | Answer], kept: Withholding) -> AsyncGenerator[str | Answer]:
    """Yield what may be shown, and the Answer unless it is refused."""
    shown: list[str] = []
    async for piece in answering:
        # A detector and a model take their time, which is not the event loop's.
        more = partial(kept.feed, piece) if isinstance(piece, str) else kept.finish
        if text := await asyncio.to_thread(more):
            shown.append(text)
            yield text
        if kept.refused:
            return
        if isinstance(piece, Answer):
            yield replace(piece, text="".join(shown))


async def _value(answering: AsyncGenerator[str | Answer], kept: Withholding) -> AsyncGenerator[str | Answer]:
    """Yield JSON at once, and the Answer; nothing if it is refused, or is no JSON any more."""
    whole: list[str] = []
    async for piece in answering:
        if isinstance(piece, str):
            whole.append(piece)
            continue
        text = await asyncio.to_thread(lambda: kept.feed("".join(whole)) + kept.finish())
        if not kept.refused and whole and not _is_json(text):
            kept.refused = NO_VALUE
        if kept.refused:
            return
        if text:
            yield text
        yield replace(piece, text=text)


async def refuse(rule: Rule, question: str, release_id: str, form: Form) -> AsyncGenerator[str | Answer]:
    """Answer a question that policy does not let be asked."""
    if notice := refusal(rule, question, form, begun=False):
        yield notice
    yield refused(rule, notice, release_id)


def refusal(rule: Rule, question: str, form: Form, *, begun: bool) -> str:
    """Return what is said instead of an answer, or of the rest of one; nothing where JSON is due."""
    if form.schema:
        return ""
    wording = WORDINGS[language(question)]
    return f"\n\n{rule.says or wording.withheld}" if begun else rule.says or wording.refused


def refused(rule: Rule, text: str, release_id: str) -> Answer:
    """Return the answer that a refusal is."""
    return Answer(text, (), (), abstained=False, release_id=release_id, refused_by=rule.name)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _sentence_end(text: str, before: int) -> int:
    """Return where the last sentence ends before a place; 0 when none does."""
    return max((end.end() for end in _SENTENCE_END.finditer(text, 0, before)), default=0)


def _before_last(text: str, count: int) -> int:
    """Return where the last `count` characters that can be seen begin."""
    for at in range(len(text) - 1, -1, -1):
        count -= text[at].isalnum()
        if count <= 0:
            return at
    return 0
