"""Answer → AnswerRecord: what was answered is written down, without a word of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from kiban.domain.access import Principal
from kiban.domain.question import Answer, Passage
from kiban.domain.record import Answered, AnswerRecord, Ending
from kiban.errors import KibanError
from kiban.wiring.furniture import Furniture

MONTH = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of an answer before a word of it is written."""

    who: Principal
    question: str
    passages: Sequence[Passage]
    release_id: str  # whose turn it is; an answer says who took it


class Records:
    """What the chat service writes down, and what an auditor asks for."""

    def __init__(self, furniture: Furniture) -> None:
        self._furniture = furniture

    async def follow(
        self, answering: AsyncGenerator[str | Answer], asked: Asked
    ) -> AsyncGenerator[str | Answer]:
        """Pass an answer on, and write its line: before its end is passed on, or when it breaks off.

        Raises PartUnavailable when it cannot be written: no answer ends without its line.
        """
        ending, written, began = Ending.LEFT, False, time.monotonic()
        try:
            async with aclosing(answering):
                async for piece in answering:
                    if isinstance(piece, Answer):
                        written = True
                        await self._keep(asked, piece, began)
                    yield piece
        except KibanError:
            ending = Ending.FAILED
            raise
        finally:
            if not written:
                await self._keep(asked, ending, began)

    def kept(self, subject: str | None = None, since: datetime | None = None) -> Iterator[AnswerRecord]:
        """Yield the lines, oldest first: all, or those of one person, or from a moment on."""
        asker = self._asker(subject) if subject is not None else None
        moment = {} if since is None else {"since": since}
        return self._furniture.records.kept(asker, **moment)

    def verify(self) -> int | None:
        """Return the number of the first line that is not as it was written; None when all are."""
        return self._furniture.records.verify()

    def forget_old(self) -> int:
        """Let go of what is older than the settings say; return how many lines went."""
        kept_for = self._furniture.settings.record_months * MONTH
        return self._furniture.records.forget(datetime.now(UTC) - kept_for)

    async def _keep(self, asked: Asked, last: Answer | Ending, began: float) -> None:
        took = round((time.monotonic() - began) * 1000)
        what = replace(self._answered(asked, last), milliseconds=took)
        # Written even if whoever asked hangs up meanwhile.
        await asyncio.shield(asyncio.to_thread(self._furniture.records.keep, what))

    def _answered(self, asked: Asked, last: Answer | Ending) -> Answered:
        if isinstance(last, Ending):
            release_id, how, citations, refused, rule = asked.release_id, last, 0, 0, ""
        else:
            release_id, how = last.release_id, ending(last)
            citations, refused, rule = len(last.citations), last.refused_quotes, last.refused_by
        return Answered(
            asker=self._asker(asked.who.subject),
            question=self._furniture.pseudonyms.of("question", asked.question),
            release_id=release_id,
            shown=Answered.passages(asked.passages),
            citations=citations,
            refused_quotes=refused,
            ending=how,
            refused_by=rule,
        )

    def _asker(self, subject: str) -> str:
        return self._furniture.pseudonyms.of("asker", subject)


def ending(answer: Answer) -> Ending:
    """Return how an answer that came to its end did."""
    if answer.failed:
        return Ending.FAILED
    if answer.refused_by:
        return Ending.REFUSED
    return Ending.ABSTAINED if answer.abstained else Ending.ANSWERED
