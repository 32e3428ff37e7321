"""Another base model → Candidate → Verdict: it has to be no worse than what answers now, adapters and all."""

from __future__ import annotations

import asyncio
import hashlib
import time
from functools import partial

from kiban.answer.prompt import PROMPT_VERSION
from kiban.backends.candidates import CandidateFolder
from kiban.domain.access import ALL, Audience, Principal
from kiban.domain.evidence import Arm, Scored, Verdict
from kiban.domain.learning import Candidate, Curriculum, Question
from kiban.domain.question import Answer
from kiban.domain.release import Release
from kiban.errors import NotServed, TooFewExamples
from kiban.judge import arms, other_base
from kiban.judge.other_base import Bytes
from kiban.release import deploy
from kiban.wiring.answers import Answers
from kiban.wiring.asking import SEED
from kiban.wiring.base import BASE_MODEL, Base
from kiban.wiring.examining import Examining, exam
from kiban.wiring.furniture import Furniture
from kiban.wiring.releases import Releases
from kiban.wiring.weights import WeightsMaking

FEWEST = 8  # questions in each zone


class OtherBase:
    """Proposes the base model that servers have and that does not answer, and judges it."""

    def __init__(
        self, furniture: Furniture, releases: Releases, answers: Answers, weights: WeightsMaking
    ) -> None:
        self._furniture = furniture
        self._releases = releases
        self._examining = Examining(answers)
        self._weights = weights

    def propose(self) -> Candidate:
        """Return the other base model as a candidate, with the questions to judge it by: about documents from
        which nothing that answers them has learnt, of everyone's zone and of each that has an adapter.

        Raises NotServed when the settings name no other, TooFewExamples when a zone has too few questions.
        """
        release, other = self._releases.in_force(), self._other()
        zones = (ALL, *(zone.audience for zone in release.zones))
        asked = tuple(question for zone in zones for question in self._exam(zone, release))
        names = hashlib.sha256("\0".join(question.text for question in asked).encode()).hexdigest()
        folder = self._furniture.candidates.begin("base", other.weights.sha256, release.id, names)
        learnt_nothing = Curriculum(ALL, (), (), PROMPT_VERSION, SEED)
        folder.keep_curriculum(learnt_nothing, asked)
        candidate = Candidate(folder.id, learnt_nothing.sha256, (), None, None, None, llm=other.weights)
        folder.keep_candidate(candidate)
        return candidate

    def judge(self, candidate: Candidate, folder: CandidateFolder) -> tuple[Verdict, list[Scored]]:
        """Ask both the same questions, each as the members of its zone."""
        now, moved = self._releases.in_force(), self._releases.proposal(candidate)
        old, new = self._furniture.base_of(now), self._furniture.base_of(moved)
        self._releases.converge(now)
        folder.keep_probabilities(deploy.probabilities(new.adapters, BASE_MODEL))
        began = time.monotonic()
        scored = asyncio.run(
            arms.evaluate(
                folder.held_out(),
                {
                    Arm.CHAMPION_RAG: partial(self._ask, now, None),
                    Arm.OTHER_RAG: partial(self._ask, moved, BASE_MODEL),
                },
                progress=self._furniture.stage("judging"),
            )
        )
        weighed = Bytes(old.weights.bytes, new.weights.bytes)
        seconds = time.monotonic() - began
        return other_base.decide(candidate.id, scored, weighed, champion=now.id, seconds=seconds), scored

    def _other(self) -> Base:
        now = self._furniture.base
        for base in self._furniture.bases:
            if base.weights.sha256 != now.weights.sha256:
                return base
        raise NotServed(
            f"No base model is served but {now.name}.", mend="other_llm in the settings, kiban up"
        )

    def _exam(self, zone: Audience, release: Release) -> tuple[Question, ...]:
        learnt_from = self._learnt_from(release.narrowed(release.zone(zone)))
        held_out = [
            question
            for question in self._weights.held_out(zone)
            if question.lineage.document_id not in learnt_from
        ]
        if len(held_out) < FEWEST:
            raise TooFewExamples(
                f"{len(held_out)} questions about {zone} that nothing which answers there has learnt.",
                mend="ingest more documents",
            )
        return exam(held_out, self._furniture.settings.judging_questions)

    def _learnt_from(self, release: Release) -> set[int]:
        """Return the documents that any of its weights have seen."""
        made = [folder.candidate() for folder in self._furniture.candidates.all()]
        in_force = [one for one in made if one.curriculum_sha256 in release.curricula]
        return {seen.document_id for one in in_force for seen in one.lineage}

    async def _ask(self, release: Release, model: str | None, question: Question) -> Answer:
        return await self._examining.write(question, release, Principal.members(question.audience), model)
