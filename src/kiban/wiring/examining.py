"""Question → Answer, as it is asked in an exam: by the members of a zone, with or without what was found."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kiban.adapt.questions import unanswerable
from kiban.domain.access import Principal
from kiban.domain.learning import Question
from kiban.domain.question import Answer, Passage
from kiban.domain.release import Release
from kiban.wiring.answers import SHOWN, Answers
from kiban.wiring.base import BASE_MODEL

WITHHELD_SHARE = 4  # one question in so many is asked with its document withheld


def exam(held_out: Sequence[Question], most: int) -> tuple[Question, ...]:
    """Return the questions to judge by: the last of them are asked with their documents withheld."""
    asked = held_out[:most]
    answerable = len(asked) - len(asked) // WITHHELD_SHARE
    return (*asked[:answerable], *unanswerable(asked[answerable:]))


class Examining:
    """Asks a release, and nobody is shown what it answers."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    async def write(
        self,
        question: Question,
        release: Release,
        who: Principal,
        model: str | None = None,
        *,
        with_passages: bool = True,
    ) -> Answer:
        """Return what a model writes; without one, whatever this release answers these people with."""
        shown = await asyncio.to_thread(self.show, question, release, who) if with_passages else []
        if model is None:
            choices = await asyncio.to_thread(self._answers.choices, release, who, shown)
            model = choices[0][1] if choices else BASE_MODEL
        written = self._answers.converse_with(
            release, model, question.text, shown, who=who, closed_book=not with_passages
        )
        *_, last = [piece async for piece in written]
        assert isinstance(last, Answer)
        return last

    def show(self, question: Question, release: Release, who: Principal) -> list[Passage]:
        """Return what a question is answered from; if nothing is right, its own document is withheld."""
        if question.answerable:
            return self._answers.find_with(release, question.text, who, SHOWN)
        found = self._answers.find_with(release, question.text, who, 4 * SHOWN)
        return [p for p in found if p.document_id != question.lineage.document_id][:SHOWN]
