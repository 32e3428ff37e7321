"""What is taken from somebody while their question is under way, and what a reranker is given to read."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_reranker import make_cross_encoder

from kiban.backends.cross_encoder import CrossEncoderReranker
from kiban.bench.attacks.answering import QUESTION, SENTENCE, WRITTEN, Answering, answering
from kiban.bench.attacks.company import Company, company
from kiban.bench.attacks.stage import Stage
from kiban.domain.access import NOBODY, Audience, Principal
from kiban.domain.question import Passage, Turn
from kiban.retrieve.rerank import Reranking
from kiban.retrieve.search import find
from kiban.settings import Settings
from kiban.testing import arrival
from kiban.wiring.furniture import Furniture

BOARD = Audience(frozenset({"board"}))
SECRET = "役員の宿泊費は国内出張でも88,000円を上限とする。"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    settings = Settings(state=tmp_path_factory.mktemp("state"))
    with Stage(Furniture(settings), scale=0.005, hashed=True) as stage:
        yield stage


# --- A1 with a reranker ---


class Overheard:
    """A reranker, and all that it was given to read."""

    def __init__(self, path: Path) -> None:
        self._reranker = CrossEncoderReranker(path, "cpu")
        self.read: list[list[str]] = []

    def scores(self, question: str, passages: Sequence[str]) -> Sequence[float]:
        self.read.append(list(passages))
        return self._reranker.scores(question, passages)

    def passages_within(self, milliseconds: float, passage: str) -> int:
        return self._reranker.passages_within(milliseconds, passage)


@pytest.fixture(scope="module")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> Overheard:
    return Overheard(make_cross_encoder(tmp_path_factory.mktemp("cross-encoder")))


def reranked(staged: Company, reranker: Overheard, who: Principal, question: str) -> list[Passage]:
    return find(
        question,
        who,
        index=staged.search,
        tokenizer=staged.tokenizer,
        embedder=staged.embedder,
        generation=staged.generation,
        limit=20,
        exact_limit=0,
        reranking=Reranking(reranker, 8, weight=0.9),
    )


def test_a_reranker_reads_nothing_that_the_asker_may_not(stage: Stage, reranker: Overheard) -> None:
    staged, own = company(stage), 0
    for who in staged.people[::3]:
        for fact in staged.facts[::12]:
            reranker.read.clear()
            passages = reranked(staged, reranker, who, fact.question)
            (read,) = reranker.read
            forbidden = [one.code for one in staged.facts if not who.may_read(one.audience)]
            assert staged.forbidden(who, passages) == 0
            assert not [text for text in read for code in forbidden if code in text]
            own += who.may_read(fact.audience) and any(fact.code in text for text in read)
    assert own


def test_forbidden_passages_take_nothing_of_a_rerankers_budget(stage: Stage, reranker: Overheard) -> None:
    staged, chance = company(stage), random.Random(5)
    asked = [(who, chance.choice(staged.facts).question) for who in staged.people[::4]]

    def answers() -> tuple[list[list[Passage]], list[list[str]]]:
        reranker.read.clear()
        return [reranked(staged, reranker, who, question) for who, question in asked], [*reranker.read]

    before = answers()
    for number, (_, question) in enumerate(asked):
        staged.put(f"around {number}", [question] * 20, NOBODY)
    assert answers() == before
    assert any(len(read) == 8 for read in before[1])
    staged.library.delete("attacks", [f"around {number}" for number in range(len(asked))])


# --- A7 while a question is under way ---


@pytest.fixture(scope="module")
def house(stage: Stage) -> Iterator[Answering]:
    with answering(stage) as running:
        yield running


@pytest.fixture
def staged(house: Answering) -> Iterator[Company]:
    """Give the company, with a document for the board, and mori in it."""
    staged = company(house.stage)
    staged.put("board.md", [SECRET], BOARD)
    staged.library.set_memberships("attacks", {"mori": frozenset({"board"})})
    yield staged
    staged.library.delete("attacks", ["board.md"])


def out_of_the_group(staged: Company) -> None:
    staged.library.set_memberships("attacks", {"mori": frozenset()})


def off_the_document(staged: Company) -> None:
    file = arrival("board.md", "", readers=["board"]).file
    staged.library.move_audience("attacks", replace(file, audience=NOBODY))


def away(staged: Company) -> None:
    staged.library.delete("attacks", ["board.md"])


@pytest.mark.parametrize("taken", [out_of_the_group, off_the_document, away])
def test_what_is_taken_before_the_first_word_is_not_shown(
    house: Answering, staged: Company, taken: Callable[[Company], None]
) -> None:
    (server,) = house.servers
    prompts: list[str] = []

    def write(turns: Sequence[Turn], model: str) -> str:
        prompts.append("\n".join(turn.text for turn in turns))
        if SECRET not in prompts[-1]:
            return WRITTEN
        if len(prompts) == 1:
            taken(staged)  # while the model thinks
        return f"88,000円です。「{SECRET}」[1]"

    server.write = write
    with house.client("mori") as client:
        reply = house.whole(client, QUESTION)
    assert SECRET in prompts[0] and SECRET not in prompts[1] and len(prompts) == 2
    assert "88,000" not in str(reply) and SENTENCE in reply["choices"][0]["message"]["content"]
    line = list(house.furniture.records.kept())[-1]
    assert {one.uri for one in staged.search.browse(Principal("mori", frozenset()))} >= {"travel.md"}
    assert len(line.what.shown) > len(reply["kiban"]["passages"])  # a model was shown both


def test_where_readers_change_faster_than_that_nothing_is_shown(house: Answering, staged: Company) -> None:
    (server,) = house.servers

    def write(turns: Sequence[Turn], model: str) -> str:
        staged.put("travel.md", [f"{SENTENCE} {random.random()}"], Audience(frozenset({"everyone"})))
        return WRITTEN

    server.write = write
    with house.client("mori") as client:
        reply = house.whole(client, QUESTION)
    assert SENTENCE not in str(reply) and reply["kiban"]["passages"] == []
