"""TrainingExample → Curriculum → Candidate."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kiban.adapt import card, curriculum, feedback, preferences, questions, reading, scrub, zones
from kiban.answer import prompt
from kiban.backends.candidates import CURRICULUM, STAGES, CandidateFolder
from kiban.domain.access import ALL, Audience, Principal
from kiban.domain.document import Document
from kiban.domain.learning import (
    Candidate,
    Cost,
    Curriculum,
    EveryonesPairs,
    Question,
    QuestionKind,
    Weights,
    Zone,
)
from kiban.domain.question import Passage
from kiban.errors import TooFewExamples
from kiban.ports import LanguageTrainer
from kiban.wiring.answers import SHOWN, Answers
from kiban.wiring.asking import HELD_OUT_SHARE, SEED, Asking
from kiban.wiring.furniture import BASE_MODEL, Furniture
from kiban.wiring.generations import fill
from kiban.wiring.releases import EMBEDDER, RERANKER, Releases, adapter_model
from kiban.wiring.teaching import Teaching

if TYPE_CHECKING:  # seconds to import
    from kiban.backends.mlflow_registry import MlflowRun

log = logging.getLogger(__name__)

OUTSIDER = Principal.members(ALL)  # who sees what everyone may read


class WeightsMaking:
    """What the adapt flows do, step by step. Every step finds what an interrupted run has left.

    A curriculum is read as all members of its zone together, for everyone's as a member of no group, so that
    row-level security itself keeps what one of them may not read away from the trainers.
    """

    def __init__(self, furniture: Furniture, releases: Releases, answers: Answers) -> None:
        self._furniture = furniture
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
        browsed = furniture.index.browse(who)
        passages = [one for one in browsed if by_id[one.document_id].audience.same_zone(zone)]
        passages = self._with_findings(who, passages)
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

    def train_embedder(self, written: Curriculum) -> Weights:
        from kiban.backends.sentence_transformers_trainer import SentenceTransformersTrainer

        furniture = self._furniture
        folder = furniture.candidate_folder(written)
        pairs = EveryonesPairs.of(written)
        scrub.require_clean(written, furniture.detector.findings)
        read = self._read_by_embedder(written, folder) or furniture.base_embedder

        def train(out: Path) -> Weights:
            with furniture.registry.run("embedder", self._tags(written)) as run:
                _describe(run, folder, written)
                trainer = SentenceTransformersTrainer(
                    read.path,
                    furniture.device,
                    log=run.log,
                    spent=_account(run, folder, folder.embedder),
                )
                return trainer.train(pairs, out, furniture.stage("embedder"))

        return folder.once(folder.embedder, train)

    def build_generation(self, embedder: Weights) -> int:
        """Embed every chunk once more, beside the generation that answers."""
        furniture = self._furniture
        generation = furniture.generation(embedder)
        progress = furniture.stage("generation")
        fill(furniture.library, generation, furniture.embedder(embedder), progress=progress)
        furniture.library.tend_index(furniture.settings.graph_zone_chunks)
        return generation

    def train_adapter(self, written: Curriculum) -> Weights:
        """Teach by examples; then, where people said what they want, let that move what was learnt."""
        from kiban.backends.trl import TrlTrainer

        furniture, settings = self._furniture, self._furniture.settings
        folder = furniture.candidate_folder(written)
        scrub.require_clean(written, furniture.detector.findings)
        taught = folder.adapter if not written.preferences else folder.path / "adapter-taught"
        read = self._read_by_llm(written, folder)

        def train(out: Path) -> Weights:
            with furniture.registry.run("adapter", self._tags(written)) as run:
                _describe(run, folder, written)
                trainer = TrlTrainer(
                    furniture.llm.path,
                    BASE_MODEL,
                    rank=settings.lora_rank,
                    epochs=settings.epochs,
                    device=furniture.device,
                    four_bits=settings.four_bits,
                    begin=read.path if read else None,
                    log=run.log,
                    spent=_account(run, folder, taught),
                )
                return self._shared(trainer).train(written, out, furniture.stage("adapter"))

        made = folder.once(taught, train)
        return self._prefer(written, folder, made) if written.preferences else made

    def _shared(self, trainer: LanguageTrainer) -> LanguageTrainer:
        """Return what trains the same by as many processes as the settings ask for."""
        settings = self._furniture.settings
        count, sharded = settings.training_processes, settings.training_sharded
        if count == 1:
            return trainer
        if settings.training_engine == "ray":
            from kiban.backends.ray_training import OnRay

            return OnRay(trainer, count, settings.ray_address, sharded=sharded)
        from kiban.backends.several import Several

        return Several(trainer, count, sharded=sharded)

    def _read_by_llm(self, written: Curriculum, folder: CandidateFolder) -> Weights | None:
        """Return the adapter that has read the texts of a curriculum; None where it is not to read."""
        furniture, settings = self._furniture, self._furniture.settings
        if "llm" not in settings.read_first or not written.texts:
            return None
        from kiban.backends.trl_reading import ReadingTrainer

        place = folder.path / "adapter-read"

        def train(out: Path) -> Weights:
            with furniture.registry.run("reading", self._tags(written)) as run:
                _describe(run, folder, written)
                trainer = ReadingTrainer(
                    furniture.llm.path,
                    BASE_MODEL,
                    rank=settings.lora_rank,
                    device=furniture.device,
                    log=run.log,
                    spent=_account(run, folder, place),
                )
                return trainer.train(written.texts, out, furniture.stage("reading"))

        return folder.once(place, train)

    def _read_by_embedder(self, written: Curriculum, folder: CandidateFolder) -> Weights | None:
        """Return the embedder that has read them; None where it is not to read."""
        furniture = self._furniture
        if "embedder" not in furniture.settings.read_first or not written.texts:
            return None
        from kiban.backends.masked_words import MaskedWordsTrainer

        place = folder.path / "embedder-read"

        def train(out: Path) -> Weights:
            with furniture.registry.run("masked words", self._tags(written)) as run:
                _describe(run, folder, written)
                trainer = MaskedWordsTrainer(
                    furniture.base_embedder.path,
                    furniture.device,
                    log=run.log,
                    spent=_account(run, folder, place),
                )
                return trainer.train(written.texts, out, furniture.stage("masked words"))

        return folder.once(place, train)

    def _prefer(self, written: Curriculum, folder: CandidateFolder, taught: Weights) -> Weights:
        from kiban.backends.trl_kto import KtoTrainer

        furniture = self._furniture

        def train(out: Path) -> Weights:
            with furniture.registry.run("preferences", self._tags(written)) as run:
                _describe(run, folder, written)
                trainer = KtoTrainer(
                    furniture.llm.path,
                    BASE_MODEL,
                    taught.path,
                    device=furniture.device,
                    log=run.log,
                    spent=_account(run, folder, folder.adapter),
                )
                return trainer.train(written.preferences, out, furniture.stage("preferences"))

        return folder.once(folder.adapter, train)

    def train_reranker(self, written: Curriculum) -> Weights | None:
        """Train a reranker; none where the settings do not ask for it."""
        furniture = self._furniture
        if not furniture.settings.train_reranker:
            return None
        from kiban.backends.cross_encoder_trainer import RerankerTrainer

        folder = furniture.candidate_folder(written)
        pairs = EveryonesPairs.of(written)
        scrub.require_clean(written, furniture.detector.findings)
        base = furniture.base_reranker or furniture.base_embedder

        def train(out: Path) -> Weights:
            with furniture.registry.run("reranker", self._tags(written)) as run:
                _describe(run, folder, written)
                trainer = RerankerTrainer(
                    base.path, furniture.device, log=run.log, spent=_account(run, folder, folder.reranker)
                )
                return trainer.train(pairs, out, furniture.stage("reranker"))

        return folder.once(folder.reranker, train)

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

    def _tags(self, written: Curriculum) -> dict[str, str]:
        llm = self._furniture.llm
        return {"curriculum": written.sha256, "llm": self._furniture.settings.llm, "llm_sha256": llm.sha256}


def _describe(run: MlflowRun, folder: CandidateFolder, written: Curriculum) -> None:
    """Say in a run what it learns from, and keep how it came about beside it; what everyone may read itself,
    too: whoever opens the registry sees it."""
    counts = {
        "examples": len(written.examples),
        "pairs": len(written.pairs),
        "preferences": len(written.preferences),
    }
    run.learns_from("curriculum", written.sha256, f"kiban.curriculum/{written.sha256}", counts)
    for name in (CURRICULUM, STAGES) if written.audience.is_everyone else (STAGES,):
        run.keep(folder.path / name)


def _account(run: MlflowRun, folder: CandidateFolder, made: Path) -> Callable[[Cost], None]:
    """Return what notes the cost of something made, in its run and in its candidate's folder."""

    def spent(cost: Cost) -> None:
        folder.keep_cost(made.name, cost)
        measures = {"cost_seconds": cost.seconds, "cost_peak_bytes": float(cost.peak_bytes)}
        if cost.joules is not None:
            measures["cost_joules"] = cost.joules
        run.log(0, measures)

    return spent
