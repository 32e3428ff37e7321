"""Documents → Questions of every kind, each stage counted, and nothing that is judged by learnt from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, zip_longest

from kiban.adapt import questions
from kiban.adapt.writers import HighlightWriter, ModelWriter, QuestionWriter, TemplateWriter
from kiban.backends import evaluation_sets
from kiban.domain.access import Audience
from kiban.domain.document import Document
from kiban.domain.learning import Question, QuestionKind, Stage
from kiban.domain.question import Passage, Turn
from kiban.wiring.base import BASE_MODEL
from kiban.wiring.furniture import Furniture

PER_DOCUMENT = 4  # facts; more of one document say little more
AT_ONCE = 16  # prompts under way at the server
LONGEST = 80  # tokens of one question
SEED = 20261122
HELD_OUT_SHARE = 0.4  # of documents


class Asking:
    """Asks about documents, and says which questions are for learning and which for judging."""

    def __init__(
        self, furniture: Furniture, find: Callable[[str], Sequence[Passage]], zone: Audience
    ) -> None:
        self._furniture = furniture
        self._find = find
        self._zone = zone

    def ask(
        self,
        passages: Sequence[Passage],
        documents: Sequence[Document],
        kinds: Sequence[QuestionKind] | None = None,
    ) -> tuple[tuple[Question, ...], tuple[Question, ...], list[Stage]]:
        """Return what to learn from and what to judge by, kinds in turn, and every stage, of these
        kinds, or those of the settings."""
        writer = self.writer()
        learnt, held_out, stages = [], [], []
        for kind in kinds or self._furniture.settings.question_kinds:
            asked, stage = questions.make_questions(
                passages,
                documents,
                writer=writer,
                find=self._find,
                kind=kind,
                per_document=PER_DOCUMENT,
                zone=self._zone,
            )
            sides = questions.split(asked, HELD_OUT_SHARE, SEED, newer=self._newer(documents))
            learnt.append(sides[0])
            held_out.append(sides[1])
            stages.append(stage)
        return _in_turn(learnt), _in_turn(held_out), stages

    def decontaminate(
        self, learnt: Sequence[Question], held_out: Sequence[Question]
    ) -> tuple[tuple[Question, ...], Stage]:
        """Leave out what anything is judged by: here, for an earlier candidate, or in a folder's set."""
        asked = chain.from_iterable(self._furniture.candidates.exams())
        # Of other zones' exams nothing: weights do not depend on what their readers may not read.
        earlier = (question for question in asked if question.audience.covers(self._zone))
        folders = self._furniture.settings.evaluation_sets
        judged_by: dict[str, Iterable[str]] = {
            "the exam": chain.from_iterable(map(_texts, held_out)),
            "an earlier exam": chain.from_iterable(map(_texts, earlier)),
            **{folder.name: evaluation_sets.texts(folder) for folder in folders},
        }
        return questions.decontaminate(learnt, judged_by)

    def _newer(self, documents: Sequence[Document]) -> frozenset[str]:
        since = self._furniture.settings.held_out_since
        if since is None:
            return frozenset()
        return frozenset(one.uri for one in documents if one.modified and one.modified.date() >= since)

    def writer(self) -> QuestionWriter:
        furniture = self._furniture
        match furniture.settings.question_writer:
            case "templates":
                return TemplateWriter()
            case "llm":
                return ModelWriter(furniture.base.title, self._complete)
            case folder:
                from kiban.backends.seq2seq import SequenceModel

                weights = furniture.fetched(folder)
                model = SequenceModel(weights.path, furniture.device)
                return HighlightWriter(f"{weights.path.name} {weights.sha256[:12]}", model.complete)

    def _complete(self, prompts: Sequence[str]) -> list[str]:
        """Have the served base model continue prompts, a few at once."""

        async def one(prompt: str, free: asyncio.Semaphore) -> str:
            async with free:
                pieces = self._furniture.base.generator.stream(
                    [Turn("user", prompt)], model=BASE_MODEL, max_tokens=LONGEST
                )
                return "".join([piece async for piece in pieces if isinstance(piece, str)])

        async def every() -> list[str]:
            free = asyncio.Semaphore(AT_ONCE)
            return list(await asyncio.gather(*(one(prompt, free) for prompt in prompts)))

        return asyncio.run(every())


def _texts(question: Question) -> tuple[str, ...]:
    return tuple(filter(None, (question.text, question.quote)))


def _in_turn(by_kind: Sequence[Sequence[Question]]) -> tuple[Question, ...]:
    return tuple(one for layer in zip_longest(*by_kind) for one in layer if one is not None)
