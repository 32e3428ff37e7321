"""Somebody else's model as one more arm: asked about what everyone may read, and about nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from judging import passage, question

from kiban.backends.vllm_generator import VllmGenerator
from kiban.domain.access import ALL, Audience, Principal
from kiban.domain.evidence import Arm
from kiban.domain.learning import Question
from kiban.domain.question import Passage
from kiban.errors import NotPermitted
from kiban.testing import ModelServer
from kiban.wiring.evidence import Evidence

PROPOSED = SimpleNamespace(adapter="everyone@1")
RESTRICTED = replace(question(), audience=Audience(frozenset({"hr"})))


class Readers:
    """Answers, as far as an arm that is not ours needs them; notes for whom passages were looked up."""

    def __init__(self) -> None:
        self.asked_as: list[Principal] = []

    def find_with(self, release: Any, text: str, who: Principal, limit: int) -> list[Passage]:
        self.asked_as.append(who)
        return [passage()]


@pytest.fixture
def server() -> ModelServer:
    return ModelServer(lambda turns, model: "12日です。「有給休暇は12日とする。」[1]")


def evidence(url: str, readers: Readers) -> Evidence:
    furniture: Any = SimpleNamespace(
        hosted=VllmGenerator([url], api_key="secret") if url else None,
        settings=SimpleNamespace(hosted_model="base"),
    )
    releases: Any = SimpleNamespace(base="base")
    another: Any = None
    return Evidence(furniture, releases, readers, another)  # type: ignore[arg-type]


def arms_for(url: str, exam: Sequence[Question], readers: Readers | None = None) -> dict[Arm, Any]:
    return dict(evidence(url, readers or Readers())._arms(PROPOSED, ALL, exam))  # type: ignore[arg-type]


def test_it_is_off_by_default() -> None:
    assert Arm.HOSTED not in arms_for("", [question()])


async def test_it_is_asked_with_its_key_and_with_what_everyone_may_read(server: ModelServer) -> None:
    readers = Readers()
    with server.serving() as url:
        answer = await arms_for(url, [question()], readers)[Arm.HOSTED](question())
    assert answer.citations[0].quote == "有給休暇は12日とする。"
    assert server.keys == ["Bearer secret"]
    assert [who.groups for who in readers.asked_as] == [frozenset()]
    assert "cache_salt" not in server.asked[0]  # vLLM's own; others refuse what they do not know


async def test_nothing_is_sent_when_a_question_comes_from_a_restricted_document(server: ModelServer) -> None:
    with server.serving() as url:
        assert Arm.HOSTED not in arms_for(url, [question(), RESTRICTED])
        with pytest.raises(NotPermitted):
            await evidence(url, Readers())._hosted("base")(RESTRICTED)  # type: ignore[arg-type]
    assert server.asked == []
