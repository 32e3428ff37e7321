"""The forms of an answer that OpenAI's client can ask for: JSON, an end, a length, and what it cost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import openai
import pydantic
import pytest

from kiban.domain.access import EVERYONE
from kiban.domain.document import Place
from kiban.domain.question import Turn
from services.chat.testing import MemoryHouse, serving

HOTEL = "国内出張の宿泊費は11,000円を上限とする。"
FORMAT = {"type": "json_schema", "json_schema": {"name": "limit", "schema": {"type": "object"}}}


class Limit(pydantic.BaseModel):
    yen: int
    sources: list[int]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MemoryHouse, str]]:
    house = MemoryHouse(tmp_path_factory.mktemp("keys"), {}, lambda turns: ())
    house.shelve("旅費規程", frozenset({EVERYONE}), (Place(), HOTEL))
    with serving(house) as url:
        yield house, url


@pytest.fixture
def house(running: tuple[MemoryHouse, str]) -> MemoryHouse:
    house, _ = running
    house.write, house.cut = _write, False
    return house


@pytest.fixture
def client(running: tuple[MemoryHouse, str]) -> Iterator[openai.OpenAI]:
    house, url = running
    with openai.OpenAI(base_url=f"{url}/v1", api_key=house.token("sato"), max_retries=0) as client:
        yield client


def _write(turns: Sequence[Turn]) -> Sequence[str]:
    return ('{"yen": 11000, ', '"sources": [1]}')


def messages(text: str = "国内出張の宿泊費は？") -> Any:
    return [{"role": "user", "content": text}]


def test_an_answer_follows_the_schema_of_a_class(house: MemoryHouse, client: openai.OpenAI) -> None:
    reply = client.chat.completions.parse(model="kiban", messages=messages(), response_format=Limit)
    assert reply.choices[0].message.parsed == Limit(yen=11000, sources=[1])  # [1] is data here, no citation
    assert json.loads(house.form.schema or "")["required"] == ["yen", "sources"]
    assert reply.kiban["passages"][0]["title"] == "旅費規程"  # type: ignore[attr-defined]


def test_without_evidence_there_is_no_value_but_a_refusal(house: MemoryHouse, client: openai.OpenAI) -> None:
    reply = client.chat.completions.parse(model="kiban", messages=messages("xyzzy"), response_format=Limit)
    message = reply.choices[0].message
    assert message.parsed is None and message.content is None
    assert "The documents do not say." in (message.refusal or "")
    stream = client.chat.completions.create(
        model="kiban",
        messages=messages("xyzzy"),
        response_format=FORMAT,  # type: ignore[call-overload]
        stream=True,
    )
    assert [chunk.choices[0].delta.refusal for chunk in stream] == [message.refusal]


def test_an_end_and_a_length_reach_the_model(house: MemoryHouse, client: openai.OpenAI) -> None:
    house.cut = True
    reply = client.chat.completions.create(
        model="kiban", messages=messages(), stop="。", max_completion_tokens=7
    )
    assert (house.form.stop, house.form.max_tokens) == (("。",), 7)
    assert reply.choices[0].finish_reason == "length"


@pytest.mark.parametrize("asked", [{"stream_options": {"include_usage": True}}, {"stream_options": None}, {}])
def test_what_an_answer_cost_is_told_as_the_server_counts(
    house: MemoryHouse, client: openai.OpenAI, asked: dict[str, Any]
) -> None:
    whole = client.chat.completions.create(model="kiban", messages=messages()).usage
    assert whole and whole.completion_tokens == len("".join(_write(()))) and whole.prompt_tokens > len(HOTEL)
    chunks = list(client.chat.completions.create(model="kiban", messages=messages(), stream=True, **asked))
    told = [chunk.usage for chunk in chunks if chunk.usage]
    assert told == ([whole] if asked.get("stream_options") else [])
    assert chunks[-1].choices == [] if told else chunks[-1].choices


def test_a_search_costs_no_tokens(house: MemoryHouse, client: openai.OpenAI) -> None:
    usage = client.chat.completions.create(model="kiban-search-only", messages=messages()).usage
    assert usage and usage.total_tokens == 0


@pytest.mark.parametrize(
    "change",
    [
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "a", "schema": {"type": "colour"}},
            }
        },
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
        {"response_format": {"type": "yaml"}},
        {"response_format": FORMAT | {"json_schema": {"name": "a", "schema": {"description": "a" * 20_000}}}},
        {"stop": ["a"] * 5},
        {"stop": ""},
        {"max_tokens": 0},
    ],
)
def test_a_form_that_makes_no_sense_is_refused_in_words(
    running: tuple[MemoryHouse, str], change: dict[str, Any]
) -> None:
    house, url = running
    body = {"model": "kiban", "messages": messages()} | change
    headers = {"Authorization": f"Bearer {house.token('sato')}"}
    reply = httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers)
    assert reply.status_code == 422
    assert reply.json()["error"]["message"]
