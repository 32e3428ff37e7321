"""Who asks too often waits, and nobody else does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import openai
import pytest

from kiban.domain.access import EVERYONE, Principal
from kiban.domain.document import Place
from services.chat.quota import Bounded, Quota, TooMany
from services.chat.testing import MemoryHouse, serving

ASKED: Any = [{"role": "user", "content": "宿泊費は？"}]
Open = Callable[..., Callable[[str], openai.OpenAI]]


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> MemoryHouse:
    house = MemoryHouse(tmp_path_factory.mktemp("keys"), {}, lambda turns: ["長い話"] * 50)
    house.shelve("旅費規程", frozenset({EVERYONE}), (Place(), "宿泊費は11,000円を上限とする。"))
    return house


@pytest.fixture
def opened(house: MemoryHouse) -> Iterator[Open]:
    """Give a function that serves within a quota, and gives each person a client."""
    with ExitStack() as stack:

        def serve(**quota: int) -> Callable[[str], openai.OpenAI]:
            url = stack.enter_context(serving(house, Quota(**quota)))
            return lambda subject: stack.enter_context(
                openai.OpenAI(base_url=f"{url}/v1", api_key=house.token(subject), max_retries=0)
            )

        yield serve


def ask(client: openai.OpenAI, **more: Any) -> Any:
    return client.chat.completions.create(model="kiban", messages=ASKED, **more)


def test_answers_of_one_person_are_counted_and_not_those_of_others(opened: Open) -> None:
    client = opened(answers=2)
    for _ in range(2):
        ask(client("sato"))
    with pytest.raises(openai.RateLimitError, match="Ask again in") as refused:
        ask(client("sato"))
    assert 1 <= int(refused.value.response.headers["retry-after"]) <= 60
    assert client("sato").models.list().data  # what costs no model's time goes on
    assert ask(client("mori")).choices


def test_requests_of_every_kind_are_counted_together(house: MemoryHouse, opened: Open) -> None:
    client = opened(requests=3)("sato")
    client.models.list()
    client.get("/search?q=a", cast_to=httpx.Response)
    client.embeddings.create(model="kiban-embedder", input="a")
    with pytest.raises(openai.RateLimitError):
        client.models.list()
    tools = httpx.post(
        str(client.base_url).replace("/v1/", "/mcp"), headers={"Authorization": f"Bearer {client.api_key}"}
    )
    assert tools.status_code == 429


def test_what_cannot_begin_now_is_told_at_once_and_can_later(house: MemoryHouse, opened: Open) -> None:
    house.pause = 0.05
    client = opened(at_once=1)
    stream = ask(client("sato"), stream=True)
    next(iter(stream))
    with pytest.raises(openai.InternalServerError, match="at once") as refused:
        ask(client("mori"))
    assert refused.value.status_code == 503 and refused.value.response.headers["retry-after"]
    stream.close()
    deadline = time.monotonic() + 10
    while house.listening and time.monotonic() < deadline:
        time.sleep(0.02)
    assert ask(client("mori")).choices


def test_nobody_can_take_every_place(house: MemoryHouse, opened: Open) -> None:
    house.pause = 0.05
    client = opened(at_once=4, each_at_once=1)
    stream = ask(client("sato"), stream=True)
    next(iter(stream))
    with pytest.raises(openai.RateLimitError):
        ask(client("sato"))
    house.pause = 0.0
    assert ask(client("mori")).choices
    stream.close()


def test_a_place_is_taken_when_an_answer_is_granted_and_free_when_nobody_wants_it(house: MemoryHouse) -> None:
    quota, sato = Quota(each_at_once=1), Principal("sato", frozenset())
    bounded = Bounded(house, quota)
    answer = bounded.answer("宿泊費は？", (), sato)
    with pytest.raises(TooMany):
        bounded.answer("宿泊費は？", (), sato)
    del answer  # never begun
    bounded.answer("宿泊費は？", (), sato)
