"""Past questions are replayed on a release before it answers anybody: real Postgres, and a model server that
fails when told to."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from kiban.backends.postgres.connect import Postgres
from kiban.bench.attacks.zoned import HR, WIDTH, ZonedHouse, fact, make_models, passed, question, settings
from kiban.domain.access import ALL, Audience, Principal
from kiban.domain.question import Answer, Turn
from kiban.domain.record import AnswerRecord
from kiban.domain.release import Action, LedgerEntry
from kiban.release import canary
from kiban.testing import Fault, HashEmbedder
from kiban.testing.model_server import ModelServer

pytestmark = pytest.mark.timeout(300)
SENTENCE = re.compile(r"\S+円とする。")
ABSTENTION = "資料に記載がありません。"
DOCUMENTS = 12


class Company:
    """People who asked yesterday, in a house whose models prove what they say, until told otherwise."""

    def __init__(self, postgres: Postgres, folder: Path, models: Path) -> None:
        self.adapted_abstains = False
        self.server = ModelServer(self.write)
        self._postgres, self._folder, self._models = postgres, folder, models

    def open(self, url: str) -> None:
        self.zoned = ZonedHouse(self._postgres, self._folder, self._models, url, question_kinds=["question"])
        self.house, self.furniture = self.zoned.house, self.zoned.furniture
        vectors = HashEmbedder(WIDTH)  # without weights: what is found matters, not how well
        self.furniture.__dict__["embedder"] = lambda weights: vectors
        self.set(canary=(20,), shadow_questions=24)
        self.zoned.put(ALL, HR, documents=DOCUMENTS)
        people = {f"person{number}": frozenset({"staff"}) for number in range(DOCUMENTS)}
        self.place({**people, "hanako": frozenset({"hr"})})

    def set(self, **said: object) -> None:
        told = settings(self._folder, self._models, self.furniture.settings.vllm_urls[0], **said)
        self.furniture.settings = told

    def place(self, people: dict[str, frozenset[str]]) -> None:
        self.furniture.library.set_memberships("stage", people)

    def write(self, turns: Sequence[Turn], model: str) -> str:
        found = SENTENCE.findall(turns[-1].text)
        if not found or (self.adapted_abstains and model != "base"):
            return ABSTENTION
        return f"次のとおりです。「{found[0]}」[1]"

    def ask(self, subject: str, *questions: str) -> None:
        """Ask in one conversation, as the chat page does."""
        who, history = self.house.answers.known(subject), list[Turn]()
        conversation = self.house.conversations.begin(who)
        for text in questions:
            answer = asyncio.run(self._answered(text, tuple(history), who))
            self.house.conversations.add(conversation, who, text, answer)
            history += [Turn("user", text), Turn("assistant", answer.text)]

    async def _answered(self, text: str, history: Sequence[Turn], who: Principal) -> Answer:
        *_, last = [piece async for piece in self.house.answers.answer(text, history, who)]
        assert isinstance(last, Answer)
        return last

    def everyone_asks(self) -> None:
        for number in range(DOCUMENTS):
            self.ask(f"person{number}", question(ALL, number))

    def promote(self, audience: Audience = ALL) -> None:
        candidate = self.zoned.candidate(audience)
        self.house.releases.promote(candidate, passed(audience), actor="stage")

    def step(self) -> LedgerEntry:
        entry = self.house.canary.step(actor="tend flow")
        assert entry is not None
        return entry

    def lines(self) -> list[AnswerRecord]:
        return list(self.furniture.records.kept())


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def company(postgres: Postgres, models: Path, tmp_path: Path) -> Iterator[Company]:
    founded = Company(postgres, tmp_path / "state", models)
    with founded.server.serving() as url:
        founded.open(url)
        yield founded
        founded.zoned.close()


def test_a_release_that_holds_unseen_answers_its_first_people(company: Company) -> None:
    company.everyone_asks()
    company.promote()
    trial = canary.on_trial(company.furniture.ledger)
    assert trial is not None and trial.share == canary.UNSEEN
    company.ask("person0", question(ALL, 3))
    assert company.lines()[-1].what.release_id == company.house.releases.base.id
    kept, said = company.lines(), company.house.conversations.all(company.house.answers.known("person1"))

    entry = company.step()

    assert (entry.action, entry.share) == (Action.TRIED, 20)
    assert entry.reason.startswith("13 past questions of 12 people replayed: failed 0.0% → 0.0%")
    assert "citations an answer 1 → 1" in entry.reason
    assert "寮費" not in entry.reason and "person" not in entry.reason
    assert company.lines() == kept
    assert company.house.conversations.all(company.house.answers.known("person1")) == said
    assert {body["model"] for body in company.server.asked} == {"base", trial.release.adapter}


def test_a_release_whose_weights_do_not_answer_never_answers_anybody(company: Company) -> None:
    company.everyone_asks()
    company.promote()
    company.server.fault = Fault.BROKEN_ADAPTERS
    entry = company.step()
    assert (entry.action, entry.release_id) == (Action.ROLLED_BACK, company.house.releases.base.id)
    assert "it was worse" in entry.reason and "failed 0.0% → 100.0% (at most +5%)" in entry.reason
    assert company.house.canary.step(actor="tend flow") is None
    assert company.furniture.ledger.verify() is None


def test_a_release_that_abstains_where_the_present_one_proves_ends_unseen(company: Company) -> None:
    company.everyone_asks()
    company.promote()
    company.adapted_abstains = True
    entry = company.step()
    assert entry.action is Action.ROLLED_BACK
    assert "abstained 0.0% → 100.0%" in entry.reason and "citations an answer 1 → 0" in entry.reason


@pytest.mark.parametrize(("steps", "then"), [((20,), Action.TRIED), ((), Action.PROMOTED)])
def test_too_few_questions_stop_nothing(company: Company, steps: tuple[int, ...], then: Action) -> None:
    company.set(canary=steps, shadow_questions=24)
    company.adapted_abstains = True
    company.ask("person0", question(ALL, 0))
    company.promote()
    entry = company.step()
    assert (entry.action, entry.reason) == (
        then,
        "1 past questions of 1 people could be replayed: too few to tell.",
    )


def test_while_nothing_answers_it_is_waited(company: Company) -> None:
    company.everyone_asks()
    company.promote()
    company.server.fault = Fault.CUTS
    assert company.house.canary.step(actor="tend flow") is None
    company.server.fault = Fault.NONE
    assert company.step().share == 20


def test_questions_are_replayed_with_what_their_askers_may_read_today(company: Company) -> None:
    company.ask("hanako", question(HR, 4), "それはいつからですか。")
    company.ask("person1", question(ALL, 1), question(ALL, 2))
    secret = fact(HR, 4)
    assert any(secret in turn["content"] for body in company.server.asked for turn in body["messages"])
    company.place({"hanako": frozenset({"staff"}), "person1": frozenset({"staff"})})
    company.server.asked.clear()
    company.promote()
    entry = company.step()
    # Not hanako's second one: what was said before it is not hers to read any more.
    assert entry.reason.startswith("3 past questions")
    asked = [[turn["content"] for turn in body["messages"]] for body in company.server.asked]
    assert not any(secret in words for words in asked for words in words)
    followed_up = [words for words in asked if question(ALL, 2) in words[-1]]
    assert len(followed_up) == 2
    assert all(any(question(ALL, 1) in said for said in words[:-1]) for words in followed_up)


def test_a_zones_adapter_is_tried_on_its_readers_questions_alone(company: Company) -> None:
    company.everyone_asks()
    company.ask("hanako", *(question(HR, number) for number in range(3)), question(ALL, 5))
    company.promote(HR)
    company.server.asked.clear()
    company.server.fault = Fault.BROKEN_ADAPTERS
    entry = company.step()
    # Hers alone, and of those not what everyone's document answers best.
    assert re.match("[1-3] past questions of 1 people", entry.reason)
    written = [body["model"] for body in company.server.asked]
    assert len(written) < 20 and set(written) == {"base", *_zone_adapters(company)}


def _zone_adapters(company: Company) -> set[str]:
    trial = canary.on_trial(company.furniture.ledger)
    assert trial is not None
    return {zone.name for zone in trial.release.zones}


def test_without_the_setting_a_trial_begins_as_before(company: Company) -> None:
    company.set(canary=(20,))
    company.promote()
    trial = canary.on_trial(company.furniture.ledger)
    assert trial is not None and trial.share == 20


def test_the_newest_questions_are_of_all_people_in_turn(company: Company) -> None:
    for number in range(3):
        company.ask("person0", question(ALL, number))
    company.ask("person1", question(ALL, 3))
    newest = company.furniture.conversations.newest(3, of_one_person=2)
    assert [place.subject for place in newest] == ["person1", "person0", "person0"]
    assert replace(newest[0], subject="") != replace(newest[1], subject="")
