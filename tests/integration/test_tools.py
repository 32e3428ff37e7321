"""The tools for agents, through the SDK's own client, over real HTTP and over stdio."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult

from kiban.domain.access import EVERYONE
from kiban.domain.document import Place
from kiban.errors import PartUnavailable
from services.chat.testing import MemoryHouse, serving

HOTEL = "国内出張の宿泊費は11,000円を上限とする。"
SALARY = "役員の基本報酬は月額1,840,000円とする。"
ANSWER = "「国内出張の宿泊費は11,000円を上限とする。」[1]"
SCOPE = ("sources", "under", "formats", "modified_from", "modified_before")
NAIVE = {"query": "a", "modified_from": "2026-04-01T00:00:00"}  # when? it has no offset
SECRETS = ("役員報酬規程", "1,840,000")


def furnish(folder: Path) -> MemoryHouse:
    house = MemoryHouse(folder, {"mori": frozenset({"hr"})}, lambda turns: [ANSWER])
    house.shelve("旅費規程", frozenset({EVERYONE}), (Place(page=4, heading="宿泊費"), HOTEL))
    house.shelve("役員報酬規程", frozenset({"hr"}), (Place(page=1), SALARY))
    return house


@pytest.fixture
def house(tmp_path: Path) -> MemoryHouse:
    return furnish(tmp_path)


@pytest.fixture
def url(house: MemoryHouse) -> Iterator[str]:
    with serving(house) as url:
        yield url


@asynccontextmanager
async def agent(url: str, token: str) -> AsyncIterator[Client]:
    """Give the SDK's client, as an agent that holds somebody's token."""
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=30) as http:
        async with Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client:
            yield client


def said(result: CallToolResult) -> str:
    return json.dumps(result.model_dump(mode="json"), ensure_ascii=False)


def told(result: CallToolResult) -> bool:
    """Tell whether anything of the forbidden document, its title included, came through."""
    return any(secret in said(result) for secret in SECRETS)


async def test_both_tools_are_described_in_both_languages_and_take_nobody_s_name(
    url: str, house: MemoryHouse
) -> None:
    async with agent(url, house.token("sato")) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == {"search", "ask"}
    assert set(tools["search"].input_schema["properties"]) == {"query", "limit", "lanes", *SCOPE}
    assert set(tools["ask"].input_schema["properties"]) == {"question", *SCOPE}
    for tool in tools.values():
        assert tool.description and "社内文書" in tool.description and "documents" in tool.description
        assert tool.output_schema and tool.annotations and tool.annotations.read_only_hint


async def test_search_returns_passages_as_structure(url: str, house: MemoryHouse) -> None:
    async with agent(url, house.token("sato")) as client:
        result = await client.call_tool("search", {"query": "宿泊費", "limit": 3})
    assert result.structured_content is not None
    assert result.structured_content["release"] == house.release_id()
    [passage] = result.structured_content["data"]
    assert (passage["title"], passage["place"]["page"], passage["text"]) == ("旅費規程", 4, HOTEL)
    assert [why["lane"] for why in passage["why"]] == ["dense", "lexical"]


@pytest.mark.parametrize(
    ("about", "found"),
    [
        ({"under": "旅費", "formats": [".MD"]}, 1),
        ({"under": "役員"}, 0),
        ({"formats": ["pdf"]}, 0),
        ({"sources": ["wiki"]}, 0),
        ({"modified_from": "2026-04-01T00:00:00+09:00"}, 0),
        ({"modified_before": "2026-04-01T00:00:00Z"}, 0),
    ],
)
async def test_both_tools_keep_to_what_they_are_asked_about(
    url: str, house: MemoryHouse, about: dict[str, object], found: int
) -> None:
    async with agent(url, house.token("sato")) as client:
        result = await client.call_tool("search", {"query": "宿泊費", **about})
        answer = await client.call_tool("ask", {"question": "宿泊費", **about})
    assert result.structured_content is not None and answer.structured_content is not None
    assert len(result.structured_content["data"]) == len(answer.structured_content["passages"]) == found


async def test_ask_answers_with_quotations_that_are_verbatim(url: str, house: MemoryHouse) -> None:
    async with agent(url, house.token("sato")) as client:
        result = await client.call_tool("ask", {"question": "国内出張の宿泊費は？"})
    assert result.structured_content is not None
    [citation] = result.structured_content["citations"]
    start, end = citation["span"]
    assert HOTEL[start:end] == citation["quote"] == HOTEL
    assert "[1]" in result.structured_content["text"]


@pytest.mark.parametrize("tool", ["search", "ask"])
async def test_what_the_caller_may_not_read_is_out_of_reach(url: str, house: MemoryHouse, tool: str) -> None:
    word = "query" if tool == "search" else "question"
    for person, sees in (("sato", False), ("mori", True)):
        async with agent(url, house.token(person)) as client:
            asked = {word: "役員の基本報酬は月額いくら？"}
            assert told(await client.call_tool(tool, asked)) is sees
            # An argument that names somebody else is refused or changes nothing.
            forged = {**asked, "user": "mori", "groups": ["hr"], "as": "mori", "who": "mori"}
            assert told(await client.call_tool(tool, forged)) is sees


async def test_two_callers_at_once_are_not_confused(url: str, house: MemoryHouse) -> None:
    asked = {"query": "役員の基本報酬"}
    async with agent(url, house.token("sato")) as sato, agent(url, house.token("mori")) as mori:
        for _ in range(5):
            assert "1,840,000" in said(await mori.call_tool("search", asked))
            assert "1,840,000" not in said(await sato.call_tool("search", asked))


@pytest.mark.parametrize(
    "arguments", [{}, {"query": ""}, {"query": "a", "limit": 500}, {"query": "あ" * 5000}, NAIVE]
)
async def test_what_makes_no_sense_is_an_error_in_words(
    url: str, house: MemoryHouse, arguments: dict[str, object]
) -> None:
    async with agent(url, house.token("sato")) as client:
        result = await client.call_tool("search", arguments)
    assert result.is_error and any(word in said(result) for word in ("query", "limit", "modified_from"))


async def test_a_part_that_fails_is_named_and_nothing_else_is_told(url: str, house: MemoryHouse) -> None:
    async with agent(url, house.token("sato")) as client:
        house.fails_with = PartUnavailable("vLLM at http://gpu1:8000")
        named = await client.call_tool("ask", {"question": "宿泊費は？"})
        house.fails_with = RuntimeError("a secret in a traceback")
        hidden = await client.call_tool("ask", {"question": "宿泊費は？"})
    assert named.is_error and "gpu1" in said(named)
    assert hidden.is_error and "secret" not in said(hidden)


@pytest.mark.parametrize("header", ["", "Bearer a.b.c", "Basic c2F0bzpzYXRv"])
def test_without_a_token_the_door_says_where_to_get_one(url: str, header: str) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    reply = httpx.post(f"{url}/mcp", json=body, headers={"Authorization": header} if header else {})
    assert reply.status_code == 401
    challenge = reply.headers["www-authenticate"]
    about = httpx.get(challenge.partition('resource_metadata="')[2].rstrip('"')).json()
    assert about["resource"] == f"{url}/mcp"
    assert httpx.get(f"{url}/mcp").status_code == 405


STDIO = """
import sys
from pathlib import Path
from tests.integration.test_tools import furnish
from services.chat.tools import tool_server
house = furnish(Path(sys.argv[1]))
tool_server(house, lambda _: house.caller(house.token(sys.argv[2]))).run("stdio")
"""


@pytest.mark.parametrize(("person", "sees"), [("sato", False), ("mori", True)])
async def test_over_stdio_the_process_is_the_person(tmp_path: Path, person: str, sees: bool) -> None:
    root = Path(__file__).parents[2]
    started = StdioServerParameters(
        command=sys.executable,
        args=["-c", STDIO, str(tmp_path), person],
        cwd=root,
        env={"PYTHONPATH": str(root)},
    )
    async with Client(started) as client:
        result = await client.call_tool("search", {"query": "役員の基本報酬"})
    assert told(result) is sees
