"""Another base model, with servers of its own, answers nobody until it has earned it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from kiban.answer import prompt
from kiban.backends.postgres.connect import Postgres
from kiban.bench.attacks.zoned import HR, ZonedHouse, make_models, naming_itself, question, settings
from kiban.domain.access import ALL
from kiban.domain.evidence import Arm, Evaluation, Outcome, Verdict
from kiban.domain.question import Turn
from kiban.domain.release import Release
from kiban.errors import NotEarned, NotServed
from kiban.release.ledger import in_force
from kiban.testing.model_server import ModelServer
from kiban.wiring import House

pytestmark = pytest.mark.timeout(300)
FACT = re.compile(r"(\w+第\d+区分の\w+)は月額([\d,]+円)とする。")


def knowing(turns: Sequence[Turn], model: str) -> str:
    """Answer from the documents in the prompt, with the sentence that proves it, as a good model would."""
    asked = turns[-1].text
    documents, _, wanted = (
        asked.rpartition("</documents>") if "</documents>" in asked else asked.rpartition("\n\n")
    )
    for number, passage in enumerate(re.split(r"\[\d+\]", documents)[1:], start=1):
        for fact in FACT.finditer(passage):
            if fact[1] in wanted:
                return prompt.target(fact[2], fact[0], number, "ja")
    return prompt.abstention("ja")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_models(tmp_path_factory.mktemp("models"))
    another = make_models(folder / "more") / "llm"
    (another / "another.txt").write_text("other content, another hash")
    return folder


class Bases:
    """A house whose two bases run: the first names itself whatever it is asked, the other as ordered."""

    def __init__(self, postgres: Postgres, state: Path, models: Path, urls: Sequence[str]) -> None:
        self.company = ZonedHouse(postgres, state, models, urls[0])
        self._models, self._urls, self._state = models, urls, state
        self.set(llm=self.first, other_llm=self.other)

    @property
    def first(self) -> str:
        return str(self._models / "llm")

    @property
    def other(self) -> str:
        return str(self._models / "more" / "llm")

    def set(self, **said: object) -> None:
        """Change the settings, as whoever restarts the house does."""
        own = {self.first: self._urls[0], self.other: self._urls[1]}
        urls = {"vllm_urls": [own[str(said["llm"])]]}
        if said.get("other_llm"):
            urls["other_vllm_urls"] = [own[str(said["other_llm"])]]
        told = settings(
            self._state,
            self._models,
            self._urls[0],
            judging_questions=40,
            question_kinds=["question"],
            **urls,
            **said,
        )
        house, shared = House(told), self.company.furniture
        house.furniture.__dict__ |= {"postgres": shared.postgres, "registry": shared.registry}
        self.company.house, self.company.furniture = house, house.furniture

    def move(self) -> Release:
        """Promote the other base on a planted pass."""
        house = self.company.house
        nothing = Evaluation("staged", {}, (), 0, 0, 0.0)
        passed = Verdict(
            Outcome.PASS, ("Staged.",), nothing, base_earned=True, champion=house.releases.in_force().id
        )
        return house.releases.promote(house.other_base.propose(), passed, actor="stage")


@pytest.fixture
def servers() -> tuple[ModelServer, ModelServer]:
    return naming_itself(), ModelServer(knowing)


@pytest.fixture
def bases(
    postgres: Postgres, models: Path, tmp_path: Path, servers: tuple[ModelServer, ModelServer]
) -> Iterator[Bases]:
    with ExitStack() as running:
        urls = [running.enter_context(server.serving()) for server in servers]
        made = Bases(postgres, tmp_path / "state", models, urls)
        yield made
        made.company.close()


def test_a_better_base_is_earned_answers_everybody_and_is_gone_back_from(bases: Bases) -> None:
    company = bases.company
    company.put(ALL, HR, documents=80)
    learnt = company.candidate(ALL)
    for made in (learnt, company.candidate(HR)):
        company.release(made)
    before = company.house.releases.in_force()
    candidate = company.house.other_base.propose()
    asked = company.furniture.candidates.folder(candidate.id).held_out()
    assert {each.audience for each in asked} == {ALL, HR}
    assert not {one.document_id for one in learnt.lineage} & {each.lineage.document_id for each in asked}

    verdict = company.house.evidence.judge(candidate)
    assert set(verdict.evaluation.arms) == {Arm.CHAMPION_RAG, Arm.OTHER_RAG}
    assert verdict.outcome is Outcome.PASS and verdict.base_earned, verdict.reasons
    assert company.house.releases.in_force() == before

    release = company.house.releases.promote(candidate, verdict, actor="stage")
    assert release.llm == company.furniture.bases[1].name and not release.adapters
    for audience, groups in ((ALL, ()), (HR, ("hr",))):
        said, answer = company.ask(question(audience, 4), *groups)
        assert FACT.search(said) and answer.release_id == release.id

    company.house.releases.rollback(actor="stage", reason="to see")
    assert company.ask(question(HR, 4), "hr")[0] == before.zones[0].name
    assert company.ask(question(ALL, 4))[0] == before.adapter


def test_a_base_that_knows_less_changes_nothing(
    bases: Bases, servers: tuple[ModelServer, ModelServer]
) -> None:
    bases.company.put(ALL)
    first, other = servers
    first.write, other.write = knowing, lambda turns, model: "わかりません。"
    house = bases.company.house
    candidate = house.other_base.propose()
    verdict = house.evidence.judge(candidate)
    assert verdict.outcome is Outcome.FAIL
    with pytest.raises(NotEarned):
        house.releases.promote(candidate, verdict, actor="stage")
    assert house.releases.in_force().llm == house.furniture.bases[0].name


def test_a_setting_alone_changes_nothing_that_answers(bases: Bases) -> None:
    company = bases.company
    company.put(ALL)
    bases.set(llm=bases.other)
    with pytest.raises(NotServed, match="was judged on"):
        company.house.releases.require_served()
    raw, answer = company.ask(question(ALL, 4))
    assert answer.failed and "見つかった資料" in answer.text
    assert not FACT.search(raw.split("見つかった資料")[0])


def test_what_is_learnt_next_is_learnt_on_the_base_in_force_and_on_no_other(bases: Bases) -> None:
    company = bases.company
    company.put(ALL)
    stale = company.candidate(ALL)
    bases.move()
    assert company.furniture.base.setting == bases.other
    with pytest.raises(NotEarned, match="trained on another base"):
        company.release(stale)

    fresh = company.candidate(ALL, company.house.weights.write_curriculum())
    adapted = company.release(fresh)
    assert adapted.llm == company.furniture.bases[1].name
    company.delete(fresh.lineage[0].uri)
    assert in_force(company.furniture.ledger).llm == adapted.llm, "its own base, not the one before"
    assert not in_force(company.furniture.ledger).adapters


def test_going_back_to_a_base_that_no_server_has_is_refused_before_anything_moves(bases: Bases) -> None:
    company = bases.company
    company.put(ALL)
    moved = bases.move()
    bases.set(llm=bases.other)
    with pytest.raises(NotServed):
        company.house.releases.rollback(actor="stage", reason="to see")
    assert company.house.releases.in_force() == moved
    with pytest.raises(NotServed, match="but"):
        company.house.other_base.propose()


def test_readiness_asks_for_the_servers_that_answer_now(bases: Bases) -> None:
    company = bases.company
    assert {*company.house.answers.ready()} == {"postgres", "vllm"}
    company.put(ALL)
    bases.move()
    assert {*company.house.answers.ready()} == {"postgres", "other-vllm"}
