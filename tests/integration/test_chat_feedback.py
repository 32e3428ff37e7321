"""Feedback over HTTP: given by who may read the place, decided by curators."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from kiban.domain.access import EVERYONE
from kiban.domain.document import Place
from services.chat.testing import MemoryHouse, serving

QUOTE = "東京23区内に限り13,800円を上限とする。"
GROUPS = {
    "mori": frozenset({"hr", "curators"}),
    "kato": frozenset({"curators"}),
    "ueda": frozenset({"curators"}),
}


@pytest.fixture
def call(tmp_path: Path) -> Iterator[httpx.Client]:
    """Give a client of a running service; `headers` says who calls."""
    house = MemoryHouse(tmp_path, GROUPS, lambda turns: ("…",))
    house.shelve("旅費規程", frozenset({EVERYONE}), (Place(page=4), f"国内は11,000円。{QUOTE}"))
    house.shelve("役員報酬規程", frozenset({"hr"}), (Place(page=1), "月額1,840,000円とする。"))
    with serving(house) as url, httpx.Client(base_url=f"{url}/v1") as client:
        client.event_hooks["request"] = [lambda request: _sign(request, house)]
        yield client


def _sign(request: httpx.Request, house: MemoryHouse) -> None:
    request.headers["Authorization"] = f"Bearer {house.token(request.headers.pop('x-person', 'sato'))}"


def by(person: str) -> dict[str, str]:
    return {"x-person": person}


def said(document_id: int = 1, quote: str = QUOTE) -> dict[str, object]:
    evidence = {"document_id": document_id, "quote": quote}
    return {
        "rating": "down", "question": "東京の宿泊費は。", "answer": "11,000円です。", "release": "r",
        "correction": "13,800円", "evidence": evidence,
    }  # fmt: skip


def test_a_correction_waits_until_two_curators_approve(call: httpx.Client) -> None:
    number = call.post("/feedback", json=said()).raise_for_status().json()["id"]
    (waiting,) = call.get("/feedback", headers=by("kato")).json()["data"]
    assert (waiting["id"], waiting["author"], waiting["evidence"]["quote"]) == (number, "sato", QUOTE)
    first = call.post(f"/feedback/{number}/decision", json={"approves": True}, headers=by("kato")).json()
    assert not first["approved"]
    second = call.post(f"/feedback/{number}/decision", json={"approves": True}, headers=by("ueda")).json()
    assert second["approved"]
    assert call.get("/feedback", headers=by("kato")).json()["data"] == []


def test_what_does_not_stand_there_or_is_not_yours_is_refused_alike(call: httpx.Client) -> None:
    wrong = call.post("/feedback", json=said(quote="無制限とする。"))
    foreign = call.post("/feedback", json=said(2, "月額1,840,000円とする。"))
    absent = call.post("/feedback", json=said(99, "月額1,840,000円とする。"))
    assert [reply.status_code for reply in (wrong, foreign, absent)] == [422, 422, 422]
    assert foreign.json()["error"]["message"].replace("2", "99") == absent.json()["error"]["message"]


def test_only_curators_decide_and_only_about_what_they_may_read(call: httpx.Client) -> None:
    common = call.post("/feedback", json=said()).json()["id"]
    restricted = call.post("/feedback", json=said(2, "月額1,840,000円とする。"), headers=by("mori")).json()[
        "id"
    ]
    assert call.get("/feedback").status_code == 403
    assert call.post(f"/feedback/{common}/decision", json={"approves": True}).status_code == 403
    assert [one["id"] for one in call.get("/feedback", headers=by("kato")).json()["data"]] == [common]
    refused = call.post(f"/feedback/{restricted}/decision", json={"approves": True}, headers=by("kato"))
    assert refused.status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"rating": "meh", "question": "q", "answer": "a"},
        {**said(), "author": "mori"},
        {**said(), "question": ""},
    ],
)
def test_a_malformed_body_is_refused(call: httpx.Client, body: dict[str, object]) -> None:
    assert call.post("/feedback", json=body).status_code == 422
