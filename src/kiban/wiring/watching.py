"""Answer → traces, for whoever keeps the service running; without any in the settings nothing is noted."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import TypeVar

from kiban.domain.course import About, Course, Step, Told, Watched
from kiban.domain.feedback import Feedback, Rating
from kiban.domain.question import Answer
from kiban.domain.record import Ending
from kiban.domain.sensitive import mask
from kiban.errors import KibanError
from kiban.ports import Watcher
from kiban.wiring.furniture import Furniture
from kiban.wiring.records import Asked, ending

T = TypeVar("T")
log = logging.getLogger(__name__)


class Watching:
    """Follows answers for OpenTelemetry (all of them) and MLflow (some)."""

    def __init__(self, furniture: Furniture) -> None:
        self._furniture = furniture
        self._under_way: set[asyncio.Task[None]] = set()  # or they could be collected before they are done

    def begin(self) -> Course | None:
        """Return what the steps of an answer are noted in; None where nobody watches."""
        settings = self._furniture.settings
        return Course() if settings.otel_endpoint or settings.mlflow_traces else None

    async def follow(
        self, answering: AsyncGenerator[str | Answer], asked: Asked, course: Course | None
    ) -> AsyncGenerator[str | Answer]:
        """Pass an answer on; when it has ended, however it did, let the watchers see it."""
        if course is None:
            async with aclosing(answering):
                async for piece in answering:
                    yield piece
            return
        began, first, last, broken = time.time_ns(), None, None, Ending.LEFT
        try:
            async with aclosing(answering):
                async for piece in answering:
                    first = first or time.time_ns()
                    last = piece if isinstance(piece, Answer) else last
                    yield piece
        except KibanError:
            broken = Ending.FAILED
            raise
        finally:
            course.steps.append(Step("generate", began, time.time_ns()))
            # Of its own, so that no answer's end waits for it.
            seen = asyncio.create_task(asyncio.to_thread(self._seen, course, asked, last or broken, first))
            self._under_way.add(seen)
            seen.add_done_callback(self._under_way.discard)

    def rated(self, given: Feedback) -> None:
        """Attach a thumb to the trace of its answer, if it was one of those that are kept."""
        if self._furniture.settings.mlflow_traces:
            of = self._furniture.pseudonyms.of
            asker, question = of("asker", given.author), of("question", given.question)
            self._furniture.traces.rated(asker, question, good=given.rating is Rating.UP)

    def _seen(self, course: Course, asked: Asked, last: Answer | Ending, first: int | None) -> None:
        settings = self._furniture.settings
        kept = random.random() < settings.mlflow_traces
        watchers: list[Watcher] = [self._furniture.otel] if settings.otel_endpoint else []
        watchers += [self._furniture.traces] if kept else []
        if not watchers:
            return
        of, ended = self._furniture.pseudonyms.of, time.time_ns()
        if isinstance(last, Answer):
            # Quotations are proven piece by piece between others: its length is what all of it took.
            course.steps.append(Step("verify", ended - round(last.proving * 1e9), ended, "generate"))
        watched = Watched(
            course,
            ended,
            first,
            of("asker", asked.who.subject),
            of("question", asked.question),
            _about(asked, last),
            self._words(asked, last) if kept and isinstance(last, Answer) else None,
        )
        for watcher in watchers:
            watcher.saw(watched)

    def _words(self, asked: Asked, last: Answer) -> Told | None:
        """Return the words, if MLflow may have them: they are from what everyone may read now."""
        documents = {passage.document_id for passage in asked.passages}
        try:
            index = self._furniture.index
            public = all(index.audience(asked.who, id).is_everyone for id in documents)
        except KibanError as error:
            log.warning("a trace goes without words: %s", error)
            return None
        if not documents or not public:
            return None
        return Told(self._clean(asked.question), self._clean(last.text))

    def _clean(self, text: str) -> str:
        return mask(text, self._furniture.detector.findings(text))


def _about(asked: Asked, last: Answer | Ending) -> About:
    if isinstance(last, Ending):
        return {"release": asked.release_id, "ending": last.value, "passages": len(asked.passages)}
    read, wrote = (last.usage.prompt_tokens, last.usage.completion_tokens) if last.usage else (0, 0)
    return {
        "release": last.release_id,
        "ending": ending(last).value,
        "passages": len(asked.passages),
        "citations": len(last.citations),
        "refused_quotes": last.refused_quotes,
        "refused_by": last.refused_by,
        "tokens_read": read,
        "tokens_written": wrote,
    }


async def in_thread(course: Course | None, work: Callable[[], T]) -> T:
    """Do what blocks in a thread, and note its steps in a course, if there is one."""
    return await asyncio.to_thread(work if course is None else partial(course.watched, work))
