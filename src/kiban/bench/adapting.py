"""What weights learn from one corpus, judged on another, or on that half of it that they never saw.

Embedder and reranker are judged by what is found, the language model in four arms. Curriculum, trainers,
prompt, server and statistics are the house's own; only the corpora differ. The model is asked through the
vLLM that the house serves with, so the stack has to run for it; without it, any Postgres will do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

from kiban.adapt import curriculum
from kiban.answer import prompt
from kiban.backends.candidates import CandidateFolder
from kiban.bench import beir, recipes
from kiban.bench.adapt_figures import AdaptFigures, Gain, means
from kiban.bench.classroom import DEEP, Classroom
from kiban.bench.four_arms import FourArms
from kiban.bench.kept import KeptEmbedder
from kiban.bench.server import Server
from kiban.domain.access import ALL
from kiban.domain.evidence import Comparison, Scored, Verdict
from kiban.domain.learning import Curriculum, EveryonesPairs, Question, Weights
from kiban.domain.question import Passage
from kiban.errors import SettingsError, TooFewExamples
from kiban.judge import verdict
from kiban.ports import Embedder
from kiban.retrieve.rerank import Reranking
from kiban.retrieve.search import DENSE, LANES
from kiban.wiring import House
from kiban.wiring.base import BASE_MODEL

Made = TypeVar("Made")
Uris = Collection[str] | None  # None: all
RANKED = 10  # passages, or pages, by which retrieval is judged
FEWEST = 8


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is asked and learnt."""

    learnt: int = 64  # questions for the language model, an example each
    pairs: int = 256  # questions for the embedder and the reranker
    judged: int = 80  # questions in four arms
    ranked: int = 400  # questions by which retrieval is compared
    read: int = 16  # passages that the reranker reads, whatever the machine
    documents: int | None = None  # of each corpus, drawn by the seed; None: all
    recipes: tuple[str, ...] = (recipes.HOUSE,)  # ways to teach the embedder
    seed: int = 20_261_125


@dataclass(frozen=True, slots=True)
class Learnt:
    """What was made of the corpus to learn from; none for what was not asked for."""

    embedders: Mapping[str, Weights] = field(default_factory=dict)  # by recipe
    reranker: Weights | None = None
    adapter: Weights | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What changed in what is found."""

    fused: Mapping[str, Comparison] = field(default_factory=dict)  # by recipe: what people are shown
    dense: Mapping[str, Comparison] = field(default_factory=dict)  # by recipe: the embedder's lane alone
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
        furniture = house.furniture
        self._base = self._embedder(furniture.base_embedder)

    def run(
        self,
        train: Path,
        judged_on: Path | None,
        outside: Path | None,
        *,
        embedder: bool = True,
        reranker: bool = False,
        llm: bool = True,
    ) -> AdaptFigures:
        """Learn from `train`, judge on `judged_on`, and look for losses on `outside`.

        Without `judged_on`, half of the documents of `train` are learnt from, and questions about the others
        judge. Raises SettingsError for a folder in another layout, TooFewExamples, PartUnavailable.
        """
        wanted = {"embedder": embedder, "reranker": reranker, "llm": llm}
        with self._room(train) as room:
            taught, judging = room.halves(self._effort.seed) if judged_on is None else (None, None)
            learnt = self._learn(room, train, taught, **wanted)
            if judged_on is None:
                inside, scored = self._judge(room, train, judging, learnt)
        if judged_on is not None:
            with self._room(judged_on) as room:
                inside, scored = self._judge(room, judged_on, None, learnt)
        lost = Found()
        if outside and (learnt.embedders or learnt.reranker):
            with self._room(outside) as room:
                lost = self._compare(room, outside, None, learnt)
        first = next(iter(inside.fused.values()), None)
        decided = verdict.decide("bench", scored, embedder=first, reranker=inside.reranker)
        return self._figures(train, judged_on or train, lost, inside, scored, decided)

    def answered(self, folder: Path) -> bool:
        """Tell whether a folder has answers at all. Raises SettingsError for one in another layout."""
        return any(judged.answers for judged in beir.questions(folder))

    # --- Learning ---

    def _learn(
        self, room: Classroom, folder: Path, among: Uris, *, embedder: bool, reranker: bool, llm: bool
    ) -> Learnt:
        house = recipes.named(recipes.HOUSE)
        chosen = {name: recipes.named(name) for name in self._effort.recipes if embedder}

        @cache
        def written(headed: bool) -> Curriculum:
            return self._curriculum(room, folder, among, replace(house, headed=headed), answered=False)

        pairs = written(house.headed) if reranker else None
        examples = self._curriculum(room, folder, among, house, answered=True) if llm else None
        return Learnt(
            {
                name: self._timed(
                    f"train embedder ({name})", partial(self._train_embedder, name, written(recipe.headed))
                )
                for name, recipe in chosen.items()
            },
            self._timed("train reranker", lambda: self._train_reranker(pairs)) if pairs else None,
            self._timed("train adapter", lambda: self._train_adapter(examples)) if examples else None,
        )

    def _curriculum(
        self, room: Classroom, folder: Path, among: Uris, recipe: recipes.Recipe, *, answered: bool
    ) -> Curriculum:
        effort = self._effort
        generation = room.embed("general", self._base, self._house.furniture.progress)
        many = effort.learnt if answered else effort.pairs
        asked = room.questions(folder, many, effort.seed, among, answered=answered)
        pointed = [room.pointed(question, self._base, generation) for question in asked]
        asked = [question for question in pointed if question]
        if len(asked) < FEWEST:
            raise TooFewExamples(f"{folder} has {len(asked)} questions whose answers stand in its corpus.")

        @cache
        def find(question: str) -> list[Passage]:
            found = room.find(question, self._base, generation, DEEP)
            return [one for one in found if among is None or one.uri in among]

        lent = curriculum.Classroom(
            find=find,
            render=prompt.render,
            target=prompt.target,
            abstention=prompt.abstention,
            documents=room.documents(),
            embedded=recipe.text,
        )
        return curriculum.build(
            asked,
            lent,
            audience=ALL,
            prompt_version=prompt.PROMPT_VERSION,
            limit=len(asked),
            seed=effort.seed,
        )

    def _train_embedder(self, name: str, written: Curriculum) -> Weights:
        furniture = self._house.furniture
        trainer = recipes.named(name).trainer(furniture.base_embedder.path, furniture.device)
        place = self._kept.embedder if name == recipes.HOUSE else self._kept.path / f"embedder ({name})"
        return self._kept.once(
            place,
            lambda out: trainer.train(EveryonesPairs(written.pairs), out, furniture.stage("embedder")),
        )

    def _train_reranker(self, written: Curriculum) -> Weights:
        from kiban.backends.cross_encoder_trainer import RerankerTrainer

        furniture = self._house.furniture
        base = furniture.base_reranker or furniture.base_embedder
        trainer = RerankerTrainer(base.path, furniture.device)
        pairs = EveryonesPairs(written.pairs)
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

    def _judge(
        self, room: Classroom, folder: Path, among: Uris, learnt: Learnt
    ) -> tuple[Found, list[Scored]]:
        found = self._compare(room, folder, among, learnt)
        if learnt.adapter is None:
            return found, []
        generation = room.embed("general", self._base, self._house.furniture.progress)
        arms, effort = FourArms(self._house, room, self._base, generation), self._effort
        asking = partial(arms.ask, folder, learnt.adapter, effort.judged, effort.seed, among)
        return found, self._timed("judge", asking)

    def _compare(self, room: Classroom, folder: Path, among: Uris, learnt: Learnt) -> Found:
        """Compare what is found with and without what was learnt, one thing at a time."""
        furniture, effort = self._house.furniture, self._effort
        general = room.embed("general", self._base, furniture.progress)
        asked = room.questions(folder, effort.ranked, effort.seed, among)
        if not asked:
            raise SettingsError(f"{folder} has no question about the documents that are judged by.")

        def rank(
            embedder: Embedder, of: int, lanes: Sequence[str] = LANES, reading: Reranking | None = None
        ) -> list[list[Passage]]:
            return [
                _judged_by(question, room.find(question.text, embedder, of, DEEP, reading, lanes))
                for question in asked
            ]

        plain, alone = rank(self._base, general), rank(self._base, general, (DENSE,))
        fused, dense = {}, {}
        for name, weights in learnt.embedders.items():
            turned = self._embedder(weights)
            of = room.embed(f"adapted ({name})", turned, furniture.progress)
            fused[name] = verdict.judge_retrieval(asked, plain, rank(turned, of))
            dense[name] = verdict.judge_retrieval(asked, alone, rank(turned, of, (DENSE,)))
        reranker = None
        if learnt.reranker:
            reading = self._reranking(learnt.reranker)
            read = self._timed("read again", lambda: rank(self._base, general, LANES, reading))
            reranker = verdict.judge_retrieval(asked, plain, read, name=verdict.RERANKED)
        return Found(fused, dense, reranker)

    def _reranking(self, weights: Weights) -> Reranking:
        from kiban.backends.cross_encoder import CrossEncoderReranker

        reranker = CrossEncoderReranker(weights.path, device=self._house.furniture.device)
        return Reranking(reranker, self._effort.read)

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
        gains = tuple(
            Gain(name, fused, inside.dense[name], outside.fused.get(name), outside.dense.get(name))
            for name, fused in inside.fused.items()
        )
        return AdaptFigures(
            train=train.name,
            judged_on=judged_on.name,
            outside=gains[0].outside if gains else None,
            embedder=gains[0].home if gains else None,
            reranker_outside=outside.reranker,
            reranker=inside.reranker,
            arms=means(scored),
            comparisons=decided.evaluation.comparisons,
            outcome=decided.outcome,
            reasons=decided.reasons,
            seconds={name: round(seconds, 1) for name, seconds in self._seconds.items()},
            made_with=self._house.furniture.inventory(),
            gains=gains,
        )

    def _embedder(self, weights: Weights) -> Embedder:
        furniture = self._house.furniture
        return KeptEmbedder(furniture.embedder(weights), furniture.settings.state / "bench")

    def _room(self, folder: Path) -> AbstractContextManager[Classroom]:
        postgres, tokenizer, effort = self._postgres, self._house.furniture.tokenizer, self._effort
        return Classroom.of(
            folder, postgres.admin, postgres.passwords, tokenizer, effort.documents, effort.seed
        )

    def _timed(self, name: str, work: Callable[[], Made]) -> Made:
        began = time.monotonic()
        made = work()
        self._seconds[name] = time.monotonic() - began
        return made


def _judged_by(question: Question, found: Sequence[Passage]) -> list[Passage]:
    """Return the ranking that a question is judged by: where only its page is known, that of pages."""
    if question.quote:
        return list(found[:RANKED])
    pages: dict[int, Passage] = {}
    for passage in found:
        pages.setdefault(passage.document_id, passage)
    return list(pages.values())[:RANKED]
