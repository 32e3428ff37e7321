"""TrainingExample → Curriculum → Candidate."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kiban.adapt import card, curriculum, feedback, questions, scrub, writers
from kiban.answer import prompt
from kiban.backends.candidates import CandidateFolder
from kiban.domain.access import EVERYONE, Audience, Principal
from kiban.domain.learning import Candidate, Cost, Curriculum, Weights
from kiban.domain.question import Passage
from kiban.wiring.answers import SHOWN, Answers
from kiban.wiring.furniture import BASE_MODEL, Furniture
from kiban.wiring.generations import fill
from kiban.wiring.releases import ADAPTER, EMBEDDER, RERANKER, Releases

if TYPE_CHECKING:  # seconds to import
    from kiban.backends.mlflow_registry import MlflowRun

log = logging.getLogger(__name__)

# Curricula are read by someone who is a member of no group, so that row-level security itself keeps
# what not everyone may read away from the trainers.
OUTSIDER = Principal("curriculum", frozenset())
SEED = 20261122
PER_DOCUMENT = 4  # questions; more of one document say little more
HELD_OUT_SHARE = 0.4  # of documents


class WeightsMaking:
    """What the adapt flow does, step by step. Every step finds what an interrupted run has left."""

    def __init__(self, furniture: Furniture, releases: Releases, answers: Answers) -> None:
        self._furniture = furniture
        self._releases = releases
        self._answers = answers

    def write_curriculum(self) -> Curriculum:
        """Ask about what everyone may read; keep some documents to judge by, and learn from the others."""
        furniture = self._furniture
        documents = furniture.index.documents(OUTSIDER)
        asked, sieve = questions.make_questions(
            self._with_findings(furniture.index.browse(OUTSIDER)),
            documents,
            write=writers.from_templates,
            find=self._find,
            per_document=PER_DOCUMENT,
        )
        log.info("questions: %s", sieve)
        learnt, held_out = questions.split(asked, HELD_OUT_SHARE, SEED)
        taught, admission = feedback.lessons(
            furniture.feedback.all(),
            {document.id: document for document in documents},
            furniture.index.browse(OUTSIDER),
            examples=min(len(learnt), furniture.settings.training_questions),
        )
        log.info("feedback: %s", admission)
        taught, asked_about = questions.split(taught, HELD_OUT_SHARE, SEED)
        learnt, held_out = (*taught, *learnt), (*asked_about, *held_out)
        classroom = curriculum.Classroom(
            find=self._find,
            render=prompt.render,
            target=prompt.target,
            abstention=prompt.abstention,
            documents={document.id: document for document in documents},
            sensitive=furniture.detector.findings,
        )
        written = curriculum.build(
            learnt,
            classroom,
            audience=Audience(frozenset({EVERYONE})),
            prompt_version=prompt.PROMPT_VERSION,
            limit=furniture.settings.training_questions,
            seed=SEED,
        )
        furniture.candidate_folder(written).keep_curriculum(written, held_out)
        furniture.ledger.keep_curriculum(written)
        return written

    def train_embedder(self, written: Curriculum) -> Weights:
        from kiban.backends.sentence_transformers_trainer import SentenceTransformersTrainer

        furniture = self._furniture
        folder = furniture.candidate_folder(written)
        scrub.require_clean(written, furniture.detector.findings)

        def train(out: Path) -> Weights:
            with furniture.registry.run("embedder", self._tags(written)) as run:
                trainer = SentenceTransformersTrainer(
                    furniture.base_embedder.path,
                    furniture.device,
                    log=run.log,
                    spent=_account(run, folder, folder.embedder),
                )
                return trainer.train(written.pairs, out, furniture.stage("embedder"))

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
        from kiban.backends.trl import TrlTrainer

        furniture, settings = self._furniture, self._furniture.settings
        folder = furniture.candidate_folder(written)
        scrub.require_clean(written, furniture.detector.findings)

        def train(out: Path) -> Weights:
            with furniture.registry.run("adapter", self._tags(written)) as run:
                trainer = TrlTrainer(
                    furniture.llm.path,
                    BASE_MODEL,
                    rank=settings.lora_rank,
                    epochs=settings.epochs,
                    device=furniture.device,
                    log=run.log,
                    spent=_account(run, folder, folder.adapter),
                )
                return trainer.train(written, out, furniture.stage("adapter"))

        return folder.once(folder.adapter, train)

    def train_reranker(self, written: Curriculum) -> Weights | None:
        """Train a reranker; none where the settings do not ask for it."""
        furniture = self._furniture
        if not furniture.settings.train_reranker:
            return None
        from kiban.backends.cross_encoder_trainer import RerankerTrainer

        folder = furniture.candidate_folder(written)
        scrub.require_clean(written, furniture.detector.findings)
        base = furniture.base_reranker or furniture.base_embedder

        def train(out: Path) -> Weights:
            with furniture.registry.run("reranker", self._tags(written)) as run:
                trainer = RerankerTrainer(base.path, furniture.device, log=run.log)
                return trainer.train(written.pairs, out, furniture.stage("reranker"))

        return folder.once(folder.reranker, train)

    def register(
        self,
        written: Curriculum,
        adapter: Weights,
        embedder: Weights,
        generation: int,
        reranker: Weights | None = None,
    ) -> Candidate:
        """Put a candidate's weights on the registry's shelf, each with its model card."""
        furniture = self._furniture
        folder = furniture.candidate_folder(written)
        costs = folder.costs()
        registered = []
        for name, made in ((ADAPTER, adapter), (EMBEDDER, embedder), (RERANKER, reranker)):
            if made:
                note = card.write(name, written, made, costs.get(made.path.name))
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
        )
        folder.keep_candidate(candidate)
        return candidate

    def candidate(self, candidate_id: str | None = None) -> Candidate:
        """Return a candidate, or the newest. Raises NoSuchCandidate."""
        return self._furniture.candidates.find(candidate_id).candidate()

    def _find(self, question: str) -> Sequence[Passage]:
        # More than a prompt shows: what is left over becomes distractors.
        found = self._answers.find_with(self._releases.base, question, OUTSIDER, SHOWN + 2)
        return self._with_findings(found)

    def _with_findings(self, passages: Sequence[Passage]) -> list[Passage]:
        """Say of each passage what is sensitive in it."""
        found = self._furniture.index.sensitive(OUTSIDER, [passage.chunk_id for passage in passages])
        return [replace(passage, sensitive=found[passage.chunk_id]) for passage in passages]

    def _tags(self, written: Curriculum) -> dict[str, str]:
        llm = self._furniture.llm
        return {"curriculum": written.sha256, "llm": self._furniture.settings.llm, "llm_sha256": llm.sha256}


def _account(run: MlflowRun, folder: CandidateFolder, made: Path) -> Callable[[Cost], None]:
    """Return what notes the cost of something made, in its run and in its candidate's folder."""

    def spent(cost: Cost) -> None:
        folder.keep_cost(made.name, cost)
        measures = {"cost_seconds": cost.seconds, "cost_peak_bytes": float(cost.peak_bytes)}
        if cost.joules is not None:
            measures["cost_joules"] = cost.joules
        run.log(0, measures)

    return spent
