"""What the chat service tells beside answers: scope, why a source was found, how it stands, its page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from kiban.domain.access import EVERYONE
from kiban.domain.document import Place
from kiban.domain.standing import Stale
from services.chat.testing import MemoryHouse, serving

EVERY = frozenset({EVERYONE})


@pytest.fixture
def house(tmp_path: Path) -> MemoryHouse:
    house = MemoryHouse(tmp_path, {"mori": frozenset({"hr"})}, lambda turns: "「宿泊費は11,000円。」[1]")
    house.shelve("旅費", EVERY, (Place(page=1), "宿泊費は11,000円。"), uri="rules/travel.pdf")
    house.shelve("給与", frozenset({"hr"}), (Place(), "宿泊費の手当は給与に含む。"), uri="pay/pay.md")
    return house


@pytest.fixture
def http(house: MemoryHouse) -> Iterator[httpx.Client]:
    with serving(house) as url, httpx.Client(base_url=url, headers=token(house, "sato")) as client:
        yield client


def token(house: MemoryHouse, subject: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {house.token(subject)}"}


def asked(http: httpx.Client, headers: dict[str, str], **more: object) -> list[str]:
    """Return the uris an answer was made from."""
    body = {"model": "kiban", "messages": [{"role": "user", "content": "宿泊費は？"}], **more}
    reply = http.post("/v1/chat/completions", json=body, headers=headers)
    assert reply.status_code == 200, reply.text
    return [passage["uri"] for passage in reply.json()["kiban"]["passages"]]


@pytest.mark.parametrize("model", ["kiban", "kiban-search-only"])
def test_a_question_is_narrowed(http: httpx.Client, house: MemoryHouse, model: str) -> None:
    mori = token(house, "mori")
    assert sorted(asked(http, mori, model=model)) == ["pay/pay.md", "rules/travel.pdf"]
    assert asked(http, mori, model=model, scope={"under": "pay/"}) == ["pay/pay.md"]
    assert asked(http, mori, model=model, scope={"formats": [".PDF"]}) == ["rules/travel.pdf"]
    assert asked(http, mori, model=model, scope={"sources": ["elsewhere"]}) == []
    assert asked(http, token(house, "sato"), model=model, scope={"under": "pay/"}) == []


@pytest.mark.parametrize(
    "scope",
    [{"folder": "pay/"}, {"under": "a\0b"}, {"documents": [2**63]}, {"modified_from": "2026-01-01T00:00:00"}],
)
def test_a_scope_that_makes_no_sense_is_refused(http: httpx.Client, scope: dict[str, object]) -> None:
    told = {"model": "kiban", "messages": [{"role": "user", "content": "?"}], "scope": scope}
    assert http.post("/v1/chat/completions", json=told).status_code == 422


def test_an_answer_says_which_lanes_found_its_passages(http: httpx.Client) -> None:
    body = {"model": "kiban", "messages": [{"role": "user", "content": "宿泊費は？"}]}
    (passage,) = http.post("/v1/chat/completions", json=body).json()["kiban"]["passages"]
    assert passage["why"] == [{"lane": "dense", "rank": 1}, {"lane": "lexical", "rank": 1}]


def test_standing_and_choices_are_told_to_readers_alone(http: httpx.Client, house: MemoryHouse) -> None:
    house.views.stale = {"旅費": (Stale.OLD,), "給与": (Stale.UNREACHED,)}
    (one,) = http.get("/v1/documents?id=1&id=2").json()["data"]
    assert (one["uri"], one["stale"]) == ("rules/travel.pdf", ["old"])
    assert one["readers"] == {"everyone": True, "yours": [], "others": 0}
    choices = http.get("/v1/choices").json()
    assert choices["folders"] == [{"value": "rules/", "documents": 1}]


def test_a_page_is_a_picture_for_readers_and_not_there_for_others(
    http: httpx.Client, house: MemoryHouse
) -> None:
    house.views.pages = {1: b"\x89PNG..."}
    page = http.get("/v1/documents/1/pages/1?version=2")
    assert (page.content, page.headers["Content-Type"]) == (b"\x89PNG...", "image/png")
    assert page.headers["Cache-Control"] == "no-store"
    for address in ("/v1/documents/2/pages/1?version=2", "/v1/documents/1/pages/9?version=2"):
        assert http.get(address).status_code == 404
    assert http.get("/v1/documents/1/pages/0?version=2").status_code == 422
