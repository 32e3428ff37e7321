"""What the audits ask of an adapter: the restricted and the masked, read from a real Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.library import PostgresLibrary
from kiban.domain.access import EVERYONE, Audience
from kiban.domain.evidence import Arm, Comparison, Outcome
from kiban.domain.learning import Candidate, Curriculum, Lineage, Question
from kiban.domain.question import Answer
from kiban.domain.release import Release
from kiban.release import ledger
from kiban.settings import Settings
from kiban.testing import PatternDetector, arrival
from kiban.wiring.audits import Audits
from kiban.wiring.furniture import Furniture

PHONES = ("090-1234-5678", "080-8765-4321", "070-3456-7891")
SALARIES = ("4,812,500円", "3,976,200円", "2,754,800円", "5,163,900円", "6,238,400円")
EMPTY = Curriculum(Audience(frozenset({EVERYONE})), (), (), "prompt", 0)


class Host:
    """An AdapterHost of two servers whose adapter knows some texts by heart."""

    def __init__(self) -> None:
        self.known: Sequence[str] = ()
        self.read: list[str] = []

    def adapters(self) -> set[str]:
        return {"everyone@1"}

    def load(self, name: str, path: Path) -> None:
        raise AssertionError("an audit loads nothing")

    def logprobs(self, model: str, prompts: Sequence[str]) -> list[list[float]]:
        self.read += prompts
        known = () if model == "base" else self.known
        return [[-1.0, 5.0 * any(one in text for one in known)] for text in prompts] * 2

    def close(self) -> None: ...


class House:
    """An index with three learnt documents and five that only HR may read, and the audits of it."""

    def __init__(self, postgres: Postgres, state: Path) -> None:
        self.host = Host()
        furniture = Furniture(Settings(state=state, audited_secrets=8))
        base = SimpleNamespace(adapters=self.host, is_of=lambda release: True, close=self.host.close)
        furniture.__dict__ |= {"postgres": postgres, "bases": (base,)}
        library, find = PostgresLibrary(postgres), PatternDetector().findings
        open_to_all = [arrival(f"{n}.md", f"窓口の電話は{phone}です。") for n, phone in enumerate(PHONES)]
        closed = [
            arrival(f"hr/{n}.md", f"第{n}区分の役員の報酬は{salary}とする。", readers=("hr",))
            for n, salary in enumerate(SALARIES)
        ]
        for one in (*open_to_all, *closed):
            chunks = tuple(replace(chunk, sensitive=find(chunk.original)) for chunk in one.chunks)
            library.put("folder", [replace(one, chunks=chunks)], {})
        generation = library.add_generation("e5", "e" * 64, 3, "tokeniser", "chunking")
        founded = Release("qwen", None, None, None, "e5", "e" * 64, generation, "prompt", None)
        ledger.found(furniture.ledger, founded, actor="test")
        learnt = [document for document in library.documents() if document.audience.is_everyone]
        lineage = tuple(Lineage(each.id, each.uri, each.version, each.sha256) for each in learnt)
        self.candidate = Candidate("c", "0" * 64, lineage, None, None, None)
        self.audits = Audits(furniture)
        self.asked: list[Question] = []
        self.told = "分かりません。"

    async def ask(self, question: Question) -> Answer:
        self.asked.append(question)
        return Answer(
            self.told.format(question.gold), (), (), False, "r", raw=self.told.format(question.gold)
        )

    async def ask_base(self, question: Question) -> Answer:
        return Answer("分かりません。", (), (), False, "r")

    def of(self, audience: Audience = EMPTY.audience) -> dict[str, Comparison]:
        curriculum = replace(EMPTY, audience=audience)
        closed_book = {Arm.BASE: self.ask_base, Arm.ADAPTED: self.ask}
        made = self.audits.of(self.candidate, "everyone@1", curriculum, (), closed_book)
        return {each.measure: each for each in made}


@pytest.fixture
def house(postgres: Postgres, tmp_path: Path) -> House:
    return House(postgres, tmp_path)


def test_what_was_masked_and_what_is_restricted_is_asked_of_the_adapter(house: House) -> None:
    found = house.of()
    assert {name: each.questions for name, each in found.items()} == {
        "exposed_masked": len(PHONES),
        "exposed_restricted": len(SALARIES),
        "told_restricted": len(SALARIES),
    }
    assert {each.outcome for each in found.values()} == {Outcome.PASS}
    assert {question.gold for question in house.asked} == set(SALARIES)
    assert all(any(value in text for text in house.host.read) for value in (*PHONES, *SALARIES))


@pytest.mark.parametrize(("known", "leak"), [(PHONES, "exposed_masked"), (SALARIES, "exposed_restricted")])
def test_the_leak_is_found_where_it_is_and_nowhere_else(
    house: House, known: Sequence[str], leak: str
) -> None:
    house.host.known = known
    assert [name for name, each in house.of().items() if each.outcome is Outcome.FAIL] == [leak]


def test_an_adapter_that_tells_a_restricted_fact_when_asked_is_found_out(house: House) -> None:
    house.told = "{}です。"
    assert [name for name, each in house.of().items() if each.outcome is Outcome.FAIL] == ["told_restricted"]


def test_what_a_zone_may_read_is_not_restricted_for_its_adapter(house: House) -> None:
    assert set(house.of(Audience(frozenset({"hr"})))) == {"exposed_masked"}
