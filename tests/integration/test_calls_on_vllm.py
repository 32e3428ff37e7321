"""Tools of the asker's program with a real model, through OpenAI's unmodified client.

Where KIBAN_TEST_VLLM names a running vLLM with a parser of calls. Whether a model chooses well is measured
(`kiban bench tools`) and not required here; what is, holds for any model.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from jsonschema import Draft202012Validator

from kiban.bench.attacks.answering import QUESTION, answering
from kiban.bench.attacks.stage import Stage
from kiban.bench.choosing import TOOLS
from kiban.settings import Settings
from kiban.wiring.furniture import Furniture

URL = os.environ.get("KIBAN_TEST_VLLM", "")
pytestmark = [
    pytest.mark.skipif(not URL, reason="KIBAN_TEST_VLLM names no running vLLM"),
    pytest.mark.timeout(900),
]
RATE = "今日、1ユーロは何円ですか。"
OFFERED: Any = [*TOOLS]


@pytest.fixture(scope="module")
def client() -> Iterator[openai.OpenAI]:
    with (
        Stage(Furniture(Settings()), scale=0.001, hashed=True) as stage,
        answering(stage, urls=[URL]) as house,
        house.client() as known,
    ):
        token = known.headers["Authorization"].removeprefix("Bearer ")
        with openai.OpenAI(base_url=f"{house.url}/v1", api_key=token, max_retries=0, timeout=600) as client:
            yield client


def asked(question: str) -> Any:
    return {"model": "kiban", "messages": [{"role": "user", "content": question}], "tools": OFFERED}


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "exchange_rate"}}], ids=["any", "named"]
)
def test_a_call_that_is_required_comes_and_follows_its_schema(client: openai.OpenAI, choice: Any) -> None:
    reply = client.chat.completions.create(**asked(RATE), tool_choice=choice)
    [call, *_] = reply.choices[0].message.tool_calls or []
    schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in TOOLS}
    if choice != "required":
        assert call.function.name == "exchange_rate"
    Draft202012Validator(schemas[call.function.name]).validate(json.loads(call.function.arguments))


def test_with_its_result_the_question_is_answered(client: openai.OpenAI) -> None:
    called = {"id": "call_1", "type": "function"}
    function = {"name": "exchange_rate", "arguments": '{"currency": "EUR"}'}
    said: Any = asked(RATE)
    said["messages"] += [
        {"role": "assistant", "tool_calls": [{**called, "function": function}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "1 EUR = 163.2 JPY"},
    ]
    reply = client.chat.completions.create(**said, tool_choice="none")
    assert reply.choices[0].message.content


def test_where_tools_are_on_offer_the_documents_still_answer(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(**asked(QUESTION), tool_choice="none")
    assert reply.choices[0].message.content and reply.kiban["passages"]  # type: ignore[attr-defined]


def test_tools_too_many_to_read_leave_the_answer_to_the_documents(client: openai.OpenAI) -> None:
    rate = TOOLS[0]["function"]
    many = [{"type": "function", "function": {**rate, "name": f"rate_{number}"}} for number in range(100)]
    reply = client.chat.completions.create(**{**asked(QUESTION), "tools": many})
    assert reply.choices[0].message.content and not reply.choices[0].message.tool_calls
    with pytest.raises(openai.BadRequestError, match="cannot read so much"):
        client.chat.completions.create(**{**asked(QUESTION), "tools": many}, tool_choice="required")
