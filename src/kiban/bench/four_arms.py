"""The language model asked in four arms, on a corpus that is not the house's."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from kiban.adapt.questions import unanswerable
from kiban.backends.weights import verify_adapter
from kiban.bench.classroom import SOMEONE, Classroom
from kiban.domain.evidence import Arm, Scored
from kiban.domain.learning import Question, Weights
from kiban.domain.question import Answer, Passage
from kiban.domain.release import Release
from kiban.judge import arms
from kiban.ports import Embedder
from kiban.release import deploy
from kiban.wiring import House
from kiban.wiring.answers import SHOWN
from kiban.wiring.base import BASE_MODEL

WITHHELD_SHARE = 4  # one question in so many is asked with its document withheld


class FourArms:
    """Asks through the vLLM that the house serves with, all with one embedder, so that one thing differs."""

    def __init__(self, house: House, room: Classroom, embedder: Embedder, generation: int) -> None:
        self._house = house
        self._room = room
        self._embedder = embedder
        self._generation = generation

    def ask(
        self, folder: Path, adapter: Weights, limit: int, seed: int, among: Collection[str] | None
    ) -> list[Scored]:
        """Ask up to `limit` questions whose answer is known; of some of them the document is withheld."""
        asked = self._room.questions(folder, limit, seed, among, answered=True)
        answerable = len(asked) - len(asked) // WITHHELD_SHARE
        exam = (*asked[:answerable], *unanswerable(asked[answerable:]))
        base = self._house.releases.base
        released = self._deployed(base, adapter)
        asking = {
            Arm.BASE: self._arm(base, with_passages=False),
            Arm.BASE_RAG: self._arm(base, with_passages=True),
            Arm.ADAPTED: self._arm(released, with_passages=False),
            Arm.ADAPTED_RAG: self._arm(released, with_passages=True),
        }
        return asyncio.run(arms.evaluate(exam, asking, progress=self._house.furniture.stage("judging")))

    def _deployed(self, base: Release, adapter: Weights) -> Release:
        furniture = self._house.furniture
        deployed = deploy.deploy(
            "bench",
            adapter,
            furniture.bases[0].adapters,
            verify=lambda path: verify_adapter(path, furniture.llm.path),
            shelf=furniture.settings.state / "adapters",
            base_model=BASE_MODEL,
        )
        return replace(base, adapter=deployed.name, adapter_sha256=deployed.weights.sha256)

    def _arm(self, release: Release, *, with_passages: bool) -> arms.Ask:
        async def ask(question: Question) -> Answer:
            shown = await asyncio.to_thread(self._show, question) if with_passages else []
            written = self._house.answers.converse_with(
                release,
                release.adapter or BASE_MODEL,
                question.text,
                shown,
                who=SOMEONE,
                closed_book=not with_passages,
            )
            *_, last = [piece async for piece in written]
            assert isinstance(last, Answer)
            return last

        return ask

    def _show(self, question: Question) -> list[Passage]:
        found = self._room.find(question.text, self._embedder, self._generation, 4 * SHOWN)
        if not question.answerable:
            found = [one for one in found if one.document_id != question.lineage.document_id]
        return found[:SHOWN]
