"""What weights learn from one corpus, judged on another.

Embedder and reranker are judged by what is found, the language model in four arms. Curriculum, trainers,
prompt, server and statistics are the house's own; only the corpora differ. The model is asked through the
vLLM that the house serves with, so the stack has to run for it; without it, any Postgres will do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TypeVar

from kiban.adapt import curriculum
from kiban.adapt.questions import unanswerable
from kiban.answer import prompt
from kiban.backends.candidates import CandidateFolder
from kiban.backends.weights import verify_adapter
from kiban.bench.adapt_figures import AdaptFigures, means
from kiban.bench.classroom import SOMEONE, Classroom
from kiban.bench.server import Server
from kiban.domain.access import ALL
from kiban.domain.evidence import Arm, Comparison, Scored, Verdict
from kiban.domain.learning import Curriculum, EveryonesPairs, Question, Weights
from kiban.domain.question import Answer, Passage
from kiban.domain.release import Release
from kiban.errors import TooFewExamples
from kiban.judge import arms, verdict
from kiban.ports import Embedder
from kiban.release import deploy
from kiban.retrieve.rerank import Reranking
from kiban.wiring import House
from kiban.wiring.answers import SHOWN
from kiban.wiring.furniture import BASE_MODEL

Made = TypeVar("Made")
RANKED = 10  # passages by which retrieval is judged
WITHHELD_SHARE = 4  # one question in so many is asked with its document withheld
FEWEST = 8


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is asked and learnt."""

    learnt: int = 64  # questions for the language model, an example each
    pairs: int = 256  # questions for the embedder and the reranker
    judged: int = 80  # questions in four arms
    ranked: int = 400  # questions by which retrieval is compared
    read: int = 16  # passages that the reranker reads, whatever the machine
    seed: int = 20_261_125


@dataclass(frozen=True, slots=True)
class Learnt:
    """What was made of the corpus to learn from; None for what was not asked for."""

    embedder: Weights | None
    reranker: Weights | None
    adapter: Weights | None


@dataclass(frozen=True, slots=True)
class Found:
    """What changed in what is found; None for what was not asked for."""

    embedder: Comparison | None = None
    reranker: Comparison | None = None


class AdaptBench:
    """One run, stage by stage."""

    def __init__(self, house: House, effort: Effort, keep: Path, postgres: Server) -> None:
        """Make weights in the folder `keep`, which may hold what an earlier run has left."""
        self._house = house
        self._postgres = postgres
        self._effort = effort
        self._kept = CandidateFolder(keep)
        self._seconds: dict[str, float] = {}
        self._base: Embedder = house.furniture.embedder(house.furniture.base_embedder)

    def run(
        self,
        train: Path,
        judged_on: Path,
        outside: Path | None,
        *,
        embedder: bool = True,
        reranker: bool = False,
        llm: bool = True,
    ) -> AdaptFigures:
        """Learn from `train`, judge on `judged_on`, and look for losses on `outside`.

        Raises SettingsError for a folder in another layout, TooFewExamples, PartUnavailable.
        """
        learnt = self._learn(train, embedder=embedder, reranker=reranker, llm=llm)
        with self._room(judged_on) as room:
            inside = self._compare(room, judged_on, learnt)
            scored = self._ask(room, judged_on, learnt.adapter) if learnt.adapter else []
        lost = Found()
        if outside and (learnt.embedder or learnt.reranker):
            with self._room(outside) as room:
                lost = self._compare(room, outside, learnt)
        decided = verdict.decide("bench", scored, embedder=inside.embedder, reranker=inside.reranker)
        return self._figures(train, judged_on, lost, inside, scored, decided)

    # --- Learning ---

    def _learn(self, train: Path, *, embedder: bool, reranker: bool, llm: bool) -> Learnt:
        effort = self._effort
        with self._room(train) as room:
            generation = room.embed("general", self._base, self._house.furniture.progress)
            asked = room.questions(train, max(effort.learnt if llm else 0, effort.pairs), effort.seed)
            if len(asked) < FEWEST:
                raise TooFewExamples(f"{train} has {len(asked)} questions whose answers stand in its corpus.")
            lent = curriculum.Classroom(
                find=cache(lambda question: room.find(question, self._base, generation, SHOWN + 2)),
                render=prompt.render,
                target=prompt.target,
                abstention=prompt.abstention,
                documents=room.documents(),
            )
            written = curriculum.build(
                asked,
                lent,
                audience=ALL,
                prompt_version=prompt.PROMPT_VERSION,
                limit=len(asked),
                seed=effort.seed,
            )
        return Learnt(
            self._timed("train embedder", lambda: self._train_embedder(written)) if embedder else None,
            self._timed("train reranker", lambda: self._train_reranker(written)) if reranker else None,
            self._timed("train adapter", lambda: self._train_adapter(written)) if llm else None,
        )

    def _train_embedder(self, written: Curriculum) -> Weights:
        from kiban.backends.sentence_transformers_trainer import SentenceTransformersTrainer

        furniture = self._house.furniture
        trainer = SentenceTransformersTrainer(furniture.base_embedder.path, furniture.device)
        pairs = EveryonesPairs(written.pairs[: self._effort.pairs])
        return self._kept.once(
            self._kept.embedder, lambda out: trainer.train(pairs, out, furniture.stage("embedder"))
        )

    def _train_reranker(self, written: Curriculum) -> Weights:
        from kiban.backends.cross_encoder_trainer import RerankerTrainer

        furniture = self._house.furniture
        base = furniture.base_reranker or furniture.base_embedder
        trainer = RerankerTrainer(base.path, furniture.device)
        pairs = EveryonesPairs(written.pairs[: self._effort.pairs])
        return self._kept.once(
            self._kept.reranker, lambda out: trainer.train(pairs, out, furniture.stage("reranker"))
        )

    def _train_adapter(self, written: Curriculum) -> Weights:
        from kiban.backends.trl import TrlTrainer

        furniture, settings = self._house.furniture, self._house.furniture.settings
        fewer = replace(written, examples=written.examples[: self._effort.learnt])
        trainer = TrlTrainer(
            furniture.llm.path,
            BASE_MODEL,
            rank=settings.lora_rank,
            epochs=settings.epochs,
            device=furniture.device,
        )
        return self._kept.once(
            self._kept.adapter, lambda out: trainer.train(fewer, out, furniture.stage("adapter"))
        )

    # --- Judging ---

    def _compare(self, room: Classroom, folder: Path, learnt: Learnt) -> Found:
        """Compare what is found with and without what was learnt, one thing at a time."""
        furniture, effort = self._house.furniture, self._effort
        general = room.embed("general", self._base, furniture.progress)
        asked = room.questions(folder, effort.ranked, effort.seed)

        def rank(embedder: Embedder, of: int, reranking: Reranking | None = None) -> list[list[Passage]]:
            return [room.find(question.text, embedder, of, RANKED, reranking) for question in asked]

        plain = rank(self._base, general)
        embedder = reranker = None
        if learnt.embedder:
            turned = furniture.embedder(learnt.embedder)
            found = rank(turned, room.embed("adapted", turned, furniture.progress))
            embedder = verdict.judge_retrieval(asked, plain, found)
        if learnt.reranker:
            reading = self._reranking(learnt.reranker)
            found = self._timed("read again", lambda: rank(self._base, general, reading))
            reranker = verdict.judge_retrieval(asked, plain, found, name=verdict.RERANKED)
        return Found(embedder, reranker)

    def _reranking(self, weights: Weights) -> Reranking:
        from kiban.backends.cross_encoder import CrossEncoderReranker

        reranker = CrossEncoderReranker(weights.path, device=self._house.furniture.device)
        return Reranking(reranker, self._effort.read)

    def _ask(self, room: Classroom, folder: Path, adapter: Weights) -> list[Scored]:
        """Ask the model in four arms, all with the general embedder, so that one thing differs."""
        effort = self._effort
        asked = room.questions(folder, effort.judged, effort.seed)
        answerable = len(asked) - len(asked) // WITHHELD_SHARE
        exam = (*asked[:answerable], *unanswerable(asked[answerable:]))
        generation = room.embed("general", self._base, self._house.furniture.progress)
        base = self._house.releases.base
        asking = {
            Arm.BASE: self._arm(room, base, None),
            Arm.BASE_RAG: self._arm(room, base, generation),
            Arm.ADAPTED: self._arm(room, released := self._deployed(base, adapter), None),
            Arm.ADAPTED_RAG: self._arm(room, released, generation),
        }
        judging = arms.evaluate(exam, asking, progress=self._house.furniture.stage("judging"))
        return self._timed("judge", lambda: asyncio.run(judging))

    def _deployed(self, base: Release, adapter: Weights) -> Release:
        furniture = self._house.furniture
        deployed = deploy.deploy(
            "bench",
            adapter,
            furniture.adapters,
            verify=lambda path: verify_adapter(path, furniture.llm.path),
            shelf=furniture.settings.state / "adapters",
            base_model=BASE_MODEL,
        )
        return replace(base, adapter=deployed.name, adapter_sha256=deployed.weights.sha256)

    def _arm(self, room: Classroom, release: Release, generation: int | None) -> arms.Ask:
        def show(question: Question) -> list[Passage]:
            if generation is None:
                return []
            found = room.find(question.text, self._base, generation, 4 * SHOWN)
            if not question.answerable:
                found = [one for one in found if one.document_id != question.lineage.document_id]
            return found[:SHOWN]

        async def ask(question: Question) -> Answer:
            shown = await asyncio.to_thread(show, question)
            written = self._house.answers.converse_with(
                release,
                release.adapter or BASE_MODEL,
                question.text,
                shown,
                who=SOMEONE,
                closed_book=generation is None,
            )
            *_, last = [piece async for piece in written]
            assert isinstance(last, Answer)
            return last

        return ask

    # --- Telling ---

    def _figures(
        self,
        train: Path,
        judged_on: Path,
        outside: Found,
        inside: Found,
        scored: Sequence[Scored],
        decided: Verdict,
    ) -> AdaptFigures:
        return AdaptFigures(
            train=train.name,
            judged_on=judged_on.name,
            outside=outside.embedder,
            embedder=inside.embedder,
            reranker_outside=outside.reranker,
            reranker=inside.reranker,
            arms=means(scored),
            comparisons=decided.evaluation.comparisons,
            outcome=decided.outcome,
            reasons=decided.reasons,
            seconds={name: round(seconds, 1) for name, seconds in self._seconds.items()},
            made_with=self._house.furniture.inventory(),
        )

    def _room(self, folder: Path) -> AbstractContextManager[Classroom]:
        postgres, tokenizer = self._postgres, self._house.furniture.tokenizer
        return Classroom.of(folder, postgres.admin, postgres.passwords, tokenizer)

    def _timed(self, name: str, work: Callable[[], Made]) -> Made:
        began = time.monotonic()
        made = work()
        self._seconds[name] = time.monotonic() - began
        return made
