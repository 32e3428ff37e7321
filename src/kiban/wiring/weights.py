"""TrainingExample → Curriculum → Candidate."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from kiban.adapt import card, curriculum, feedback, preferences, questions, reading, zones
from kiban.answer import prompt
from kiban.domain.access import ALL, Audience, Principal
from kiban.domain.document import Document
from kiban.domain.learning import (
    Candidate,
    Curriculum,
    Question,
    QuestionKind,
    Weights,
    Zone,
)
from kiban.domain.question import Passage
from kiban.errors import TooFewExamples
from kiban.wiring.answers import SHOWN, Answers
from kiban.wiring.asking import HELD_OUT_SHARE, SEED, Asking
from kiban.wiring.furniture import Furniture
from kiban.wiring.generations import fill
from kiban.wiring.releases import EMBEDDER, RERANKER, Releases, adapter_model
from kiban.wiring.teaching import Teaching
from kiban.wiring.training import Training

log = logging.getLogger(__name__)

OUTSIDER = Principal.members(ALL)  # who sees what everyone may read


class WeightsMaking(Training):
    """What the adapt flows do, step by step. Every step finds what an interrupted run has left.

    A curriculum is read as all members of its zone together, for everyone's as a member of no group, so that
    row-level security itself keeps what one of them may not read away from the trainers.
    """

    def __init__(self, furniture: Furniture, releases: Releases, answers: Answers) -> None:
        super().__init__(furniture)
        self._releases = releases
        self._answers = answers

    def zones(self) -> list[Zone]:
        """Return every zone but everyone's: how large it is, and which adapter answers it."""
        release, least = self._releases.in_force(), self._furniture.settings.zone_documents
        found = zones.sizes(self._furniture.library.documents())
        return [
            Zone(audience, size, size >= least, own.name if (own := release.zone(audience)) else None)
            for audience, size in found.items()
        ]

    def write_curriculum(self, zone: Audience = ALL) -> Curriculum:
        """Ask about the documents of a zone; keep some of them to judge by, and learn from the others.

        What stands beside the right passage in a prompt is anything that all members of the zone may read.
        Raises TooFewExamples for a zone that is too small for an adapter of its own.
        """
        furniture, who = self._furniture, Principal.members(zone)
        limit, pairs = furniture.settings.training_questions, furniture.settings.training_pairs
        documents = furniture.index.documents(who)
        by_id = {document.id: document for document in documents}
        self._require_large(zone, documents)
        passages = self._passages(zone, by_id)
        asking = Asking(furniture, partial(self._find, who), zone)
        learnt, held_out, stages = asking.ask(passages, documents)
        spoken = sum(question.kind is QuestionKind.QUESTION for question in learnt)
        admitted, admission = feedback.admit(
            furniture.feedback.all(), by_id, passages, examples=min(spoken, limit), zone=zone
        )
        lessons = [question for _, question in admitted]
        taught, asked_about = questions.split(lessons, HELD_OUT_SHARE, SEED)
        learnt, held_out = (*taught, *learnt), (*asked_about, *held_out)
        learnt, clean = asking.decontaminate(learnt, held_out)
        classroom = self._classroom(who, by_id, held_out)
        written = curriculum.build(
            learnt,
            classroom,
            audience=zone,
            prompt_version=prompt.PROMPT_VERSION,
            limit=limit,
            pairs=pairs,
            seed=SEED,
        )
        stages += [admission.stage, clean, *curriculum.stages(written, learnt, limit, pairs)]
        if furniture.settings.train_preferences:
            lessons_kept = [(given, question) for given, question in admitted if question in learnt]
            preferred, stage = preferences.prefer(lessons_kept, classroom, passages, SEED)
            written = replace(written, preferences=preferred)
            stages.append(stage)
        if furniture.settings.read_first:
            judged_by = {question.lineage.document_id for question in held_out}
            pieces, stage = reading.texts(passages, by_id, judged_by, furniture.detector.findings)
            written = replace(written, texts=pieces)
            stages.append(stage)
        if furniture.settings.teacher:
            written, stage = Teaching(furniture, self._releases).teach(written)
            stages.append(stage)
        folder = furniture.candidate_folder(written)
        folder.keep_stages(stages)
        folder.keep_curriculum(written, held_out)
        furniture.ledger.keep_curriculum(written)
        for stage in stages:
            log.info("%s: %d of %d, turned away: %s", stage.name, stage.kept, stage.given, stage.turned_away)
        return written

    def held_out(self, zone: Audience) -> tuple[Question, ...]:
        """Return whole questions about those documents of a zone of which nothing is to be learnt."""
        furniture, who = self._furniture, Principal.members(zone)
        documents = furniture.index.documents(who)
        asking = Asking(furniture, partial(self._find, who), zone)
        passages = self._passages(zone, {document.id: document for document in documents})
        _, held_out, _ = asking.ask(passages, documents, [QuestionKind.QUESTION])
        return held_out

    def _passages(self, zone: Audience, documents: Mapping[int, Document]) -> list[Passage]:
        """Return all that stands in the documents of a zone, with what is sensitive in it."""
        who = Principal.members(zone)
        browsed = self._furniture.index.browse(who)
        passages = [one for one in browsed if documents[one.document_id].audience.same_zone(zone)]
        return self._with_findings(who, passages)

    def _classroom(
        self, who: Principal, documents: Mapping[int, Document], held_out: Sequence[Question]
    ) -> curriculum.Classroom:
        """Lend what other rooms have; nothing from a document that is judged by is shown, even beside."""
        judged_by = {question.lineage.document_id for question in held_out}

        def find(question: str) -> list[Passage]:
            found = self._find(who, question, 3 * SHOWN)
            return [one for one in found if one.document_id not in judged_by]

        return curriculum.Classroom(
            find=find,
            render=prompt.render,
            target=prompt.target,
            abstention=prompt.abstention,
            documents=documents,
            sensitive=self._furniture.detector.findings,
        )

    def build_generation(self, embedder: Weights) -> int:
        """Embed every chunk once more, beside the generation that answers."""
        furniture = self._furniture
        generation = furniture.generation(embedder)
        progress = furniture.stage("generation")
        fill(furniture.library, generation, furniture.embedder(embedder), progress=progress)
        furniture.library.tend_index(furniture.settings.graph_zone_chunks)
        return generation

    def register(
        self,
        written: Curriculum,
        adapter: Weights,
        embedder: Weights | None = None,
        generation: int | None = None,
        reranker: Weights | None = None,
    ) -> Candidate:
        """Put a candidate's weights on the registry's shelf, each with its model card. A zone's candidate has
        an adapter alone."""
        furniture = self._furniture
        folder = furniture.candidate_folder(written)
        costs, stages = folder.costs(), folder.stages()
        registered = []
        shelved = ((adapter_model(written.audience), adapter), (EMBEDDER, embedder), (RERANKER, reranker))
        for name, made in shelved:
            if made:
                note = card.write(name, written, made, costs.get(made.path.name), stages)
                registered.append(furniture.registry.register(name, made, self._tags(written), note))
        candidate = Candidate(
            folder.id,
            written.sha256,
            written.lineage,
            adapter,
            embedder,
            generation,
            tuple(registered),
            reranker,
            costs,
            written.audience,
            furniture.base.weights.sha256,
        )
        folder.keep_candidate(candidate)
        return candidate

    def candidate(self, candidate_id: str | None = None) -> Candidate:
        """Return a candidate, or the newest. Raises NoSuchCandidate."""
        return self._furniture.candidates.find(candidate_id).candidate()

    def _require_large(self, zone: Audience, documents: Sequence[Document]) -> None:
        least = self._furniture.settings.zone_documents
        if not zone.is_everyone and zone not in zones.large(documents, least):
            size = zones.sizes(documents).get(zone, 0)
            raise TooFewExamples(
                f"The zone of {zone} has {size} documents; {least} are needed for an adapter of its own.",
                mend="zone_documents in the settings",
            )

    def _find(self, who: Principal, question: str, limit: int = SHOWN + 2) -> Sequence[Passage]:
        # More than a prompt shows: what is left over becomes distractors.
        found = self._answers.find_with(self._releases.base, question, who, limit)
        return self._with_findings(who, found)

    def _with_findings(self, who: Principal, passages: Sequence[Passage]) -> list[Passage]:
        """Say of each passage what is sensitive in it."""
        found = self._furniture.index.sensitive(who, [passage.chunk_id for passage in passages])
        return [replace(passage, sensitive=found[passage.chunk_id]) for passage in passages]
