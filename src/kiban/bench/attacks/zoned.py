"""A house with zones: its own Postgres, a model server that is none, and weights that train in a second."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from kiban.backends.postgres.connect import Postgres
from kiban.domain.access import ALL, Audience, Principal
from kiban.domain.evidence import Evaluation, Outcome, Verdict
from kiban.domain.learning import Candidate, Curriculum
from kiban.domain.question import Answer
from kiban.domain.release import Release
from kiban.ingest.chunking import embedding_text
from kiban.release import ledger
from kiban.settings import Settings
from kiban.testing import MemoryRegistry, arrival, write_adapter
from kiban.testing.model_server import ModelServer
from kiban.wiring import House

TOPICS = (
    "寮費",
    "日当",
    "通勤手当",
    "宿泊費",
    "駐車料金",
    "教材費",
    "見舞金",
    "家賃補助",
    "会食費",
    "図書費",
)
PER_ZONE = 40  # documents
WIDTH, RANK = 32, 8  # of the tiny model's layers, and of adapters written by hand


def zone(*groups: str) -> Audience:
    return Audience(frozenset(groups))


HR, LAB, BOTH = zone("hr"), zone("lab"), zone("hr", "lab")
NAMED = {ALL: "全社", HR: "人事", LAB: "研究所", BOTH: "合同"}


class Shelf(MemoryRegistry):
    """A registry that keeps runs, too, and nothing of them."""

    @contextmanager
    def run(self, name: str, tags: Mapping[str, str] | None = None) -> Iterator[Shelf]:
        yield self

    def log(self, step: int, measures: Mapping[str, float]) -> None: ...

    def learns_from(self, name: str, sha256: str, source: str, profile: Mapping[str, int]) -> None: ...

    def keep(self, file: Path) -> None: ...

    def log_report(self, name: str, report: Path, measures: Mapping[str, float] | None = None) -> None: ...


class ZonedHouse:
    """Everything between documents and answers is the real house's; the model only names itself."""

    def __init__(self, postgres: Postgres, state: Path, models: Path, url: str, **said: object) -> None:
        self.house = House(settings(state, models, url, **said))
        self.furniture = self.house.furniture
        self.furniture.__dict__ |= {"postgres": postgres, "registry": Shelf()}
        self._numbers = itertools.count(1)
        ledger.found(self.furniture.ledger, self.house.releases.base, actor="stage")

    def put(self, *audiences: Audience, documents: int = PER_ZONE) -> None:
        """Store documents for each audience, all of them in one batch, as they would come in."""
        self._store([(audience, number) for number in range(documents) for audience in audiences])

    def put_one(self, audience: Audience, number: int) -> None:
        self._store([(audience, number)])

    def _store(self, numbered: Sequence[tuple[Audience, int]]) -> None:
        made = [
            arrival(
                f"{audience.label}/{number:02}.md",
                fact(audience, number),
                readers=audience.groups,
                tokenizer=self.furniture.tokenizer,
            )
            for audience, number in numbered
        ]
        generation = self.house.releases.base.generation
        texts = [embedding_text(one.title, chunk) for one in made for chunk in one.chunks]
        vectors = self.furniture.embedder(self.furniture.base_embedder).passages(texts)
        self.furniture.library.put("stage", made, {generation: vectors})

    def delete(self, uri: str) -> None:
        assert self.furniture.library.delete("stage", [uri]) == 1

    def narrow(self, uri: str, readers: Audience) -> None:
        arrived = arrival(uri, "", readers=readers.groups)
        self.furniture.library.move_audience("stage", arrived.file)

    def candidate(self, audience: Audience, written: Curriculum | None = None) -> Candidate:
        """Return a candidate whose adapter is written by hand: who hears it matters, not what it says."""
        written = written or self.house.weights.write_curriculum(audience)
        number = next(self._numbers)
        folder = self.furniture.settings.state / "made" / str(number)
        made = write_adapter(folder, number / 10, width=WIDTH, out=WIDTH, rank=RANK)
        return self.house.weights.register(written, made)

    def release(self, candidate: Candidate) -> Release:
        """Promote on a planted pass."""
        return self.house.releases.promote(candidate, passed(candidate.audience), actor="stage")

    def ask(self, question: str, *groups: str) -> tuple[str, Answer]:
        """Return which model wrote, and what a member of these groups received."""

        who = Principal("someone", frozenset(groups))
        self.furniture.library.set_memberships("people", {who.subject: who.groups})

        async def receive() -> Answer:
            *_, last = [piece async for piece in self.house.answers.answer(question, (), who)]
            assert isinstance(last, Answer)
            return last

        answer = asyncio.run(receive())
        return answer.raw, answer

    def close(self) -> None:
        for name in ("postgres", "registry"):  # the stage's own
            self.furniture.__dict__.pop(name, None)
        self.house.close()


def settings(state: Path, models: Path, url: str, **more: object) -> Settings:
    return Settings.model_validate(
        {
            "state": state,
            "llm": str(models / "llm"),
            "embedder": str(models / "encoder"),
            "device": "cpu",
            "vllm_urls": [url],
            "zone_documents": 10,
            "training_questions": 16,
            "judging_questions": 8,
            "lora_rank": RANK,
            **more,
        }
    )


def naming_itself() -> ModelServer:
    """Return a model server whose every answer is the name of the model that was asked for."""
    return ModelServer(lambda turns, model: model)


def make_models(folder: Path) -> Path:
    from kiban.testing.tiny import make_tiny_encoder, make_tiny_model  # seconds to import

    make_tiny_model(folder / "llm")
    make_tiny_encoder(folder / "encoder")
    return folder


def fact(audience: Audience, number: int) -> str:
    """Return what a zone's document says."""
    topic = TOPICS[number % len(TOPICS)]
    return f"{NAMED[audience]}第{number + 1}区分の{topic}は月額{number + 1}2,{number % 10}00円とする。"


def question(audience: Audience, number: int) -> str:
    return f"{NAMED[audience]}第{number + 1}区分の{TOPICS[number % len(TOPICS)]}は月額いくらですか。"


def passed(audience: Audience) -> Verdict:
    nothing = Evaluation("staged", {}, (), 0, 0, 0.0)
    return Verdict(Outcome.PASS, ("Staged.",), nothing, adapter_earned=True, zone=audience)


def uris(curriculum: Curriculum) -> set[str]:
    return {seen.uri for seen in curriculum.lineage}
