"""Release → Night: the release in force is asked what it was asked on its first night."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from kiban.adapt.questions import make_questions, split
from kiban.adapt.writers import TemplateWriter
from kiban.answer.converse import converse
from kiban.domain.access import Principal
from kiban.domain.drift import Frozen, FrozenExam, Night
from kiban.domain.evidence import Arm
from kiban.domain.learning import Question
from kiban.domain.question import Answer, Passage
from kiban.domain.release import Release
from kiban.errors import Drifted, TooFewExamples
from kiban.judge import arms, drift, drift_page
from kiban.wiring.answers import SHOWN, Answers
from kiban.wiring.asking import SEED
from kiban.wiring.base import BASE_MODEL
from kiban.wiring.examining import Examining, exam
from kiban.wiring.furniture import Furniture
from kiban.wiring.releases import Releases

ASKER = Principal("nightly", frozenset())  # in no group: asks about what everyone may read
ASKED = 40  # questions
PER_DOCUMENT = 2
FEWEST = 8


class Nights:
    """What the nightly flow does."""

    def __init__(self, furniture: Furniture, releases: Releases, answers: Answers) -> None:
        self._furniture = furniture
        self._releases = releases
        self._answers = answers
        self._examining = Examining(answers)

    def examine(self) -> Night | None:
        """Ask the release in force its frozen questions and keep what changed; None on its first night, when
        there is nothing to compare with.

        Questions whose documents are gone or have new versions are put aside. Raises TooFewExamples when
        there are not enough documents, or not enough left, to ask about.
        """
        release = self._releases.in_force().narrowed()
        kept = self._furniture.nights.exam(release.id)
        if kept is None:
            self._furniture.nights.keep_exam(self._freeze(release))
            return None
        exam = self._fresh(kept)
        frozen = exam.questions
        answers = self._answer(release, [each.question for each in frozen], [e.passages for e in frozen])
        rankings = [self._examining.show(each.question, release, ASKER) for each in frozen]
        worn = len(kept.questions) - len(frozen)
        found = drift.night(exam, answers, rankings, at=datetime.now(UTC), worn=worn)
        self._keep(found)
        return found

    def conclude(self, night: Night | None) -> Night | None:
        """Return what was found. Raises Drifted when it is an alarm."""
        if night is not None and night.drifts:
            mend = "kiban drift; then kiban rollback, or kiban drift --freeze to accept it"
            raise Drifted(drift_page.sentence(night), mend=mend)
        return night

    def told(self, night: Night | None) -> str:
        """Say in one sentence what a night found."""
        if night is None:
            return "First night of this release: its answers are kept to compare with."
        return drift_page.sentence(night)

    def all(self) -> list[Night]:
        return self._furniture.nights.nights()

    def page(self) -> Path:
        """Return where the chart lies."""
        return self._furniture.nights.page

    def forget(self) -> None:
        """Accept things as they are: the next night draws new questions and freezes new answers."""
        self._furniture.nights.forget()

    def _keep(self, night: Night) -> None:
        shelf, registry = self._furniture.nights, self._furniture.registry
        shelf.keep_night(night)
        shelf.page.write_text(drift_page.render(shelf.nights()), "utf-8")
        with registry.run("nightly", {"kiban.release": night.release_id}) as run:
            run.log(0, {f"{each.drift}_{each.measure}": each.new for each in night.shifts})
            run.keep(shelf.page)

    def _freeze(self, release: Release) -> FrozenExam:
        questions = self._furniture.nights.questions() or self._draw(release)
        shown = [self._examining.show(question, release, ASKER) for question in questions]
        answers = self._answer(release, questions, shown)
        frozen = tuple(
            Frozen(question, tuple(passages), answer, drift.scores(question, answer))
            for question, passages, answer in zip(questions, shown, answers, strict=True)
        )
        return FrozenExam(release.id, datetime.now(UTC), frozen)

    def _draw(self, release: Release) -> tuple[Question, ...]:
        """Make questions from what everyone may read, and keep them for every release to come."""
        index = self._furniture.index
        passages = index.browse(ASKER)
        sensitive = index.sensitive(ASKER, [passage.chunk_id for passage in passages])
        made, _ = make_questions(
            [replace(each, sensitive=sensitive[each.chunk_id]) for each in passages],
            index.documents(ASKER),
            writer=TemplateWriter(),
            find=lambda question: self._answers.find_with(release, question, ASKER, SHOWN),
            per_document=PER_DOCUMENT,
        )
        _, around = split(made, 1.0, SEED, PER_DOCUMENT)
        if len(around) < FEWEST:
            raise TooFewExamples(f"{len(around)} questions for the nights.", mend="ingest more documents")
        questions = exam(around, ASKED)
        self._furniture.nights.keep_questions(questions)
        return questions

    def _fresh(self, exam: FrozenExam) -> FrozenExam:
        """Return the exam without the questions whose documents are not what they were."""
        documents = {each.id: each.version for each in self._furniture.index.documents(ASKER)}
        fresh = tuple(
            each
            for each in exam.questions
            if documents.get(each.question.lineage.document_id) == each.question.lineage.version
        )
        if len(fresh) < max(FEWEST, len(exam.questions) // 2):
            raise TooFewExamples(
                f"{len(fresh)} of {len(exam.questions)} frozen questions are about documents that stand.",
                mend="kiban drift --freeze",
            )
        return replace(exam, questions=fresh)

    def _answer(
        self, release: Release, questions: Sequence[Question], shown: Sequence[Sequence[Passage]]
    ) -> list[Answer]:
        passages = dict(zip(questions, shown, strict=True))

        async def ask(question: Question) -> Answer:
            written = converse(
                question.text,
                passages[question],
                generator=self._furniture.base_of(release).generator,
                model=release.adapter or BASE_MODEL,
                release_id=release.id,
            )
            *_, last = [piece async for piece in written]
            assert isinstance(last, Answer)
            return last

        progress = self._furniture.stage("nightly")
        scored = asyncio.run(arms.evaluate(questions, {Arm.ADAPTED_RAG: ask}, progress=progress))
        return [each.answer for each in scored]
