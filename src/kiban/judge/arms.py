"""Ask every question in every arm, side by side, so that all arms meet the same machine in the same hour."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from kiban.domain.evidence import Arm, Scored
from kiban.domain.learning import Question
from kiban.domain.question import Answer
from kiban.errors import PartUnavailable
from kiban.judge.measures import score
from kiban.ports import Progress

ASKED_AT_ONCE = 8  # questions
Ask = Callable[[Question], Awaitable[Answer]]


async def evaluate(
    questions: Sequence[Question],
    arms: Mapping[Arm, Ask],
    *,
    concurrency: int = ASKED_AT_ONCE,
    progress: Progress | None = None,
) -> list[Scored]:
    """Return the scored answers, question by question; each question is asked once per arm.

    The arms take turns at being first, so that none profits from what another has warmed up. A call that
    fails with PartUnavailable is tried once more; if it fails again, everything stops and it is raised, for
    a judgement with missing answers would be a judgement of something else.
    """
    gate = asyncio.Semaphore(concurrency)
    calls = [(question, arm) for turn, question in enumerate(questions) for arm in _rotated(arms, turn)]
    done = 0

    async def call(question: Question, arm: Arm) -> Scored:
        nonlocal done
        async with gate:
            scored = await _twice(question, arm, arms[arm])
        done += 1
        if progress:
            progress(done, len(calls), f"{arm}: {question.text}")
        return scored

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call(question, arm)) for question, arm in calls]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return [task.result() for task in tasks]


async def _twice(question: Question, arm: Arm, ask: Ask) -> Scored:
    try:
        return await _timed(question, arm, ask)
    except PartUnavailable:
        return await _timed(question, arm, ask)


async def _timed(question: Question, arm: Arm, ask: Ask) -> Scored:
    start = time.perf_counter()
    answer = await ask(question)
    return score(question, arm, answer, time.perf_counter() - start)


def _rotated(arms: Mapping[Arm, Ask], turn: int) -> list[Arm]:
    names = list(arms)
    first = turn % len(names) if names else 0
    return names[first:] + names[:first]
