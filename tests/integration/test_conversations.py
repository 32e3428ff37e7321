"""What somebody asked and was answered: their own, and only as far as they may still read it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.conversations import PostgresConversations
from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.search import PostgresSearch
from kiban.domain.access import EVERYONE, Principal
from kiban.domain.document import Place
from kiban.domain.question import Answer, Citation, Passage
from kiban.testing import arrival
from services.chat.testing import MemoryHouse, serving

HOTEL, SALARY = "宿泊費は11,000円を上限とする。", "役員の報酬は月額1,840,000円とする。"
SATO, MORI = Principal("sato", frozenset()), Principal("mori", frozenset({"hr"}))


@pytest.fixture
def library(postgres: Postgres) -> PostgresLibrary:
    library = PostgresLibrary(postgres)
    library.put("s", [arrival("旅費.md", HOTEL), arrival("報酬.md", SALARY, readers=["hr"])], {})
    return library


@pytest.fixture
def kept(postgres: Postgres, library: PostgresLibrary) -> PostgresConversations:
    return PostgresConversations(postgres)


@pytest.fixture
def read(postgres: Postgres) -> dict[str, Passage]:
    return {passage.uri: passage for passage in PostgresSearch(postgres).browse(MORI)}


def answered(*passages: Passage) -> Answer:
    first = passages[0]
    citation = Citation(1, first, first.original, first.span)
    text = f"「{first.original}」[1]"
    return Answer(text, (citation,), passages, abstained=False, release_id="5f0c", refused_quotes=1)


def test_what_was_said_is_read_back_with_its_citations(
    kept: PostgresConversations, read: dict[str, Passage]
) -> None:
    id, answer = kept.begin(SATO), answered(read["旅費.md"])
    assert kept.has(id, SATO) and not kept.all(SATO)
    kept.add(id, SATO, "宿泊費は？", answer)
    kept.add(id, SATO, "日当は？", replace(answer, citations=(), abstained=True))
    first, second = kept.read(id, SATO)
    assert (first.question, second.question) == ("宿泊費は？", "日当は？")
    assert first.answer == answer
    assert second.answer and second.answer.abstained
    [listed] = kept.all(SATO)
    assert (listed.id, listed.title) == (id, "宿泊費は？")


def test_a_conversation_is_its_owners_alone(
    kept: PostgresConversations, postgres: Postgres, read: dict[str, Passage]
) -> None:
    id = kept.begin(SATO)
    kept.add(id, SATO, "宿泊費は？", answered(read["旅費.md"]))
    kept.add(id, MORI, "なりすまし", answered(read["旅費.md"]))
    assert not kept.has(id, MORI) and not kept.all(MORI) and not kept.read(id, MORI)
    assert not kept.delete(id, MORI)
    with postgres.reading(["hr", EVERYONE]) as tx:  # who says no name has no conversation
        assert tx.execute("select from kiban.exchange").rowcount == 0
    assert [one.question for one in kept.read(id, SATO)] == ["宿泊費は？"]
    assert kept.delete(id, SATO) and not kept.read(id, SATO)


def test_an_answer_is_shown_while_its_reader_may_read_what_it_is_made_from(
    kept: PostgresConversations, read: dict[str, Passage]
) -> None:
    id = kept.begin(MORI)
    kept.add(id, MORI, "報酬は？", answered(read["報酬.md"], read["旅費.md"]))
    [now] = kept.read(id, MORI)
    [later] = kept.read(id, replace(MORI, groups=frozenset()))
    assert now.answer and SALARY in now.answer.text
    assert (later.question, later.answer) == ("報酬は？", None)


def test_deleting_a_document_deletes_what_was_said_from_it(
    kept: PostgresConversations, library: PostgresLibrary, postgres: Postgres, read: dict[str, Passage]
) -> None:
    id = kept.begin(MORI)
    kept.add(id, MORI, "報酬は？", answered(read["報酬.md"]))
    kept.add(id, MORI, "宿泊費は？", answered(read["旅費.md"]))
    library.delete("s", ["報酬.md"])
    gone, stays = kept.read(id, MORI)
    assert gone.answer is None and stays.answer
    with postgres.writing() as tx:
        rows = tx.execute("select answer::text from kiban.exchange").fetchall()
    assert not any("1,840,000" in str(row) for row in rows)


def test_of_a_revised_document_no_citation_is_shown(
    kept: PostgresConversations, library: PostgresLibrary, read: dict[str, Passage]
) -> None:
    id = kept.begin(SATO)
    kept.add(id, SATO, "宿泊費は？", answered(read["旅費.md"]))
    library.put("s", [arrival("旅費.md", "宿泊費は12,000円を上限とする。")], {})
    [said] = kept.read(id, SATO)
    assert said.answer and (said.answer.citations, said.answer.passages) == ((), ())


def test_what_nobody_went_on_with_is_forgotten(
    kept: PostgresConversations, postgres: Postgres, read: dict[str, Passage]
) -> None:
    for _ in range(2):
        kept.add(id := kept.begin(SATO), SATO, "宿泊費は？", answered(read["旅費.md"]))
    with postgres.writing() as tx:
        tx.execute("update kiban.conversation set last = now() - interval '91 days' where id = %s", [id])
    assert kept.forget(datetime.now(UTC) - timedelta(days=90)) == 1
    assert len(kept.all(SATO)) == 1


# --- Over the API ---


@pytest.fixture
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MemoryHouse, httpx.Client]]:
    keys = tmp_path_factory.mktemp("keys")
    house = MemoryHouse(keys, {}, lambda turns: ("11,000円です。「宿泊費は11,000円を上限とする。」[1]",))
    house.shelve("旅費規程", frozenset({EVERYONE}), (Place(page=4), HOTEL))
    with serving(house) as url, httpx.Client(base_url=url) as client:
        yield house, client


def test_a_question_names_its_conversation_and_is_kept(http: tuple[MemoryHouse, httpx.Client]) -> None:
    house, client = http
    client.headers["Authorization"] = f"Bearer {house.token('sato')}"
    id = client.post("/v1/conversations").json()["id"]
    body = {"model": "kiban", "messages": [{"role": "user", "content": "宿泊費は？"}], "conversation": id}
    whole = client.post("/v1/chat/completions", json=body).json()
    client.post("/v1/chat/completions", json=body | {"stream": True})
    first, second = client.get(f"/v1/conversations/{id}").json()["exchanges"]
    assert first["question"] == "宿泊費は？"
    assert first["answer"] == {"text": whole["choices"][0]["message"]["content"], "kiban": whole["kiban"]}
    assert second["answer"] == first["answer"]
    assert [one["title"] for one in client.get("/v1/conversations").json()["data"]] == ["宿泊費は？"]
    assert client.delete(f"/v1/conversations/{id}").status_code == 204
    assert client.get(f"/v1/conversations/{id}").status_code == 404


@pytest.mark.parametrize("subject", ["mori", None])
def test_nobody_else_reaches_it(http: tuple[MemoryHouse, httpx.Client], subject: str | None) -> None:
    house, client = http
    sato = {"Authorization": f"Bearer {house.token('sato')}"}
    id = client.post("/v1/conversations", headers=sato).json()["id"] if subject else str(uuid4())
    who = {"Authorization": f"Bearer {house.token(subject or 'sato')}"}
    body = {"model": "kiban", "messages": [{"role": "user", "content": "宿泊費は？"}], "conversation": id}
    replies = [
        client.post("/v1/chat/completions", json=body, headers=who),
        client.get(f"/v1/conversations/{id}", headers=who),
        client.delete(f"/v1/conversations/{id}", headers=who),
    ]
    assert [reply.status_code for reply in replies] == [404] * 3
    assert len({json.dumps(reply.json()) for reply in replies}) == 1
