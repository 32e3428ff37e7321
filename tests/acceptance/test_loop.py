"""The whole loop on real Postgres, Prefect, MLflow and vLLM, in the order in which a person meets it.

The tests build on one another, as the stages of the loop do; each asserts its own promise.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import pytest
from mlflow import MlflowClient
from running import CommandFailed, Stack

from kiban.domain.evidence import Outcome
from kiban.domain.release import Action, Release
from kiban.settings import Settings
from kiban.wiring import House
from kiban.wiring.releases import ADAPTER

pytestmark = pytest.mark.timeout(900)

SECRET = "Osprey"  # only in hr/plan.md
LEARNT = "leave.md"


@pytest.fixture(scope="module")
def house(stack: Stack) -> Iterator[House]:
    """Give the same house in this process, to plant what no honest run would produce."""
    given = {name.removeprefix("KIBAN_").lower(): value for name, value in stack.environment.items()}
    opened = House(Settings.model_validate(given))
    yield opened
    opened.close()


def ask(stack: Stack, person: str, question: str) -> dict[str, Any]:
    with stack.client(person) as client:
        answer = client.chat.completions.create(
            model="kiban", messages=[{"role": "user", "content": question}]
        )
    return {"text": answer.choices[0].message.content, **(answer.model_extra or {})["kiban"]}


def test_every_part_is_up_and_says_where_its_log_is(stack: Stack) -> None:
    parts = {part["name"]: part for part in stack.kiban("status")["parts"]}
    assert set(parts) == {"postgres", "prefect", "mlflow", "vllm", "chat", "flows"}
    assert all(part["ok"] for part in parts.values()), parts
    assert all(Path(part["log"]).exists() for part in parts.values())


def test_a_run_that_dies_will_be_noticed(stack: Stack) -> None:
    api = f"http://127.0.0.1:{stack.environment['KIBAN_PREFECT_PORT']}/api/automations/filter"
    names = [automation["name"] for automation in httpx.post(api, json={}).json()]
    assert names.count("Kiban: runs that died are crashed") == 1


def test_ingest_stores_what_can_be_read_and_names_what_cannot(stack: Stack) -> None:
    report = stack.kiban("ingest")
    assert report["added"] + report["unchanged"] == 11  # at a full hour the house may have come first
    told = stack.kiban("status")["documents"]
    assert (told["ready"], set(told["why"])) == (11, {"all/broken.pdf", "all/empty.txt"})
    again = stack.kiban("ingest")
    assert (again["added"], again["changed"], again["unchanged"]) == (0, 0, 11)


def test_answers_come_only_from_what_the_asker_may_read(stack: Stack) -> None:
    question = "How many posts does the plan Osprey close?"
    to_hr, to_others = ask(stack, "bob", question), ask(stack, "alice", question)
    assert any(SECRET in passage["text"] for passage in to_hr["passages"])
    assert SECRET not in json.dumps(to_others)


def test_every_citation_is_verbatim(stack: Stack) -> None:
    answer = ask(stack, "alice", "How many days of paid leave are there in the first year?")
    passages = {passage["document_id"]: passage["text"] for passage in answer["passages"]}
    assert answer["passages"][0]["uri"] == f"all/{LEARNT}"
    assert all(cited["quote"] in passages[cited["document_id"]] for cited in answer["citations"])


def test_a_client_streams_and_a_stranger_is_refused(stack: Stack) -> None:
    asked: Any = [{"role": "user", "content": "How many seats has the canteen?"}]
    with stack.client("alice") as client:
        events = list(client.chat.completions.create(model="kiban", messages=asked, stream=True))
        with pytest.raises(openai.AuthenticationError):
            client.with_options(api_key="nobody").models.list()
    assert "".join(event.choices[0].delta.content or "" for event in events if event.choices).strip()
    assert events[-1].model_extra and events[-1].model_extra["kiban"]["release"]


def test_an_answer_follows_a_schema_and_says_what_it_cost(stack: Stack) -> None:
    seats = {"type": "object", "properties": {"seats": {"type": "integer"}}, "required": ["seats"]}
    with stack.client("alice") as client:
        answer = client.chat.completions.create(
            model="kiban",
            messages=[{"role": "user", "content": "How many seats has the canteen?"}],
            response_format={"type": "json_schema", "json_schema": {"name": "seats", "schema": seats}},
        )
    assert isinstance(json.loads(answer.choices[0].message.content or "")["seats"], int)
    assert answer.usage and answer.usage.prompt_tokens > 100 and answer.usage.completion_tokens > 3


def test_documents_become_weights_with_lineage(stack: Stack) -> None:
    candidate = stack.kiban("adapt")
    for kind in ("adapter", "embedder"):
        files = {path.suffix for path in Path(candidate[kind]["path"]).rglob("*") if path.is_file()}
        assert ".safetensors" in files
        assert not files & {".bin", ".pt", ".pkl"}
    assert len(candidate["registered"]) == 2
    seen = {document["uri"] for document in candidate["lineage"]}
    assert f"all/{LEARNT}" in seen
    assert not any(uri.startswith("hr/") for uri in seen)


def test_a_candidate_is_judged_in_four_arms_and_promoted_only_by_a_pass(stack: Stack) -> None:
    before = stack.kiban("history")
    verdict = stack.kiban("judge")
    assert set(verdict["evaluation"]["arms"]) == {"base", "base+RAG", "adapted", "adapted+RAG"}
    assert verdict["reasons"]
    assert stack.kiban("history") == before  # judging changes nothing that answers
    if verdict["outcome"] != Outcome.PASS:
        with pytest.raises(CommandFailed, match="NotEarned"):
            stack.kiban("promote")
        assert stack.kiban("history") == before


@pytest.fixture(scope="module")
def promoted(stack: Stack, house: House) -> Release:
    """Promote the candidate on a planted pass: on these few questions an honest one is not to be had."""
    candidate = house.weights.candidate()
    verdict = replace(
        house.evidence.verdict(candidate), outcome=Outcome.PASS, adapter_earned=True, embedder_earned=True
    )
    return house.releases.promote(candidate, verdict, actor="acceptance test")


def test_a_promoted_release_answers_through_its_own_adapter(stack: Stack, promoted: Release) -> None:
    assert promoted.adapter and promoted.adapter_path
    assert ask(stack, "alice", "How many seats has the canteen?")["release"] == promoted.id
    assert stack.kiban("history")[-1]["action"] == Action.PROMOTED


def test_a_restarted_server_gets_the_adapter_again(stack: Stack, house: House, promoted: Release) -> None:
    server = next(part for part in stack.kiban("status")["parts"] if part["name"] == "vllm")
    for process in [*psutil.Process(server["pid"]).children(recursive=True), psutil.Process(server["pid"])]:
        process.kill()
    stack.kiban("up")
    assert promoted.adapter in house.furniture.base.adapters.adapters()
    assert ask(stack, "alice", "How many seats has the canteen?")["release"] == promoted.id


def by_hand(client: MlflowClient, number: int) -> int:
    """Register weights as a person would, without saying what they were made from; return the version."""
    kept = client.get_model_version(ADAPTER, str(number))
    return int(client.create_model_version(ADAPTER, kept.source, kept.run_id).version)


def test_the_registrys_page_is_a_door_but_not_a_way_around_the_gate(
    stack: Stack, house: House, promoted: Release
) -> None:
    """Delete what answers, and crown weights nobody knows: what answered comes back."""
    uri = f"http://127.0.0.1:{stack.environment['KIBAN_MLFLOW_PORT']}"
    client, registry = MlflowClient(uri, uri), house.furniture.registry
    answering = registry.shelf(ADAPTER).holding(promoted.adapter_sha256)
    assert answering is not None and "champion" in answering.aliases
    stranger = by_hand(client, answering.number)
    client.delete_model_version(ADAPTER, str(answering.number))
    client.set_registered_model_alias(ADAPTER, "champion", str(stranger))
    for _ in range(2):  # what was deleted is put back first
        for wish in house.door.wishes():
            house.door.fulfil(wish)
    shelf = registry.shelf(ADAPTER)
    restored = shelf.holding(promoted.adapter_sha256)
    assert restored is not None and shelf.under("champion") == restored
    assert house.releases.in_force().id == promoted.id
    assert house.door.wishes() == []


def test_a_champion_crowned_by_hand_goes_back_and_is_told_why(
    stack: Stack, house: House, promoted: Release
) -> None:
    uri = f"http://127.0.0.1:{stack.environment['KIBAN_MLFLOW_PORT']}"
    client, shelf = MlflowClient(uri, uri), house.furniture.registry.shelf(ADAPTER)
    answering = shelf.holding(promoted.adapter_sha256)
    assert answering is not None
    stranger = by_hand(client, answering.number)
    client.set_registered_model_alias(ADAPTER, "champion", str(stranger))
    (wish,) = house.door.wishes()
    assert "not released" in house.door.fulfil(wish)
    shelf = house.furniture.registry.shelf(ADAPTER)
    assert shelf.under("champion") == shelf.holding(promoted.adapter_sha256)
    assert "no curriculum" in next(v.told for v in shelf.versions if v.number == stranger)


def test_rollback_flips_back(stack: Stack, house: House, promoted: Release) -> None:
    base = stack.kiban("rollback", "--reason", "to see")
    assert base["adapter"] is None
    assert ask(stack, "alice", "How many seats has the canteen?")["release"] == base["release"]
    candidate = house.weights.candidate()
    verdict = replace(
        house.evidence.verdict(candidate), outcome=Outcome.PASS, adapter_earned=True, embedder_earned=True
    )
    assert house.releases.promote(candidate, verdict, actor="acceptance test").id == promoted.id


def test_deleting_a_document_withdraws_the_weights_that_saw_it(
    stack: Stack, house: House, promoted: Release
) -> None:
    assert house.releases.in_force().id == promoted.id
    (stack.documents / "all" / LEARNT).unlink()
    stack.kiban("ingest")  # or a flow that was quicker
    assert f"all/{LEARNT}" in [
        gone["uri"] for gone in stack.kiban("documents", "--state", "deleted")["documents"]
    ]
    answer = ask(stack, "alice", "How many days of paid leave are there in the first year?")
    assert answer["release"] != promoted.id
    assert all(passage["uri"] != f"all/{LEARNT}" for passage in answer["passages"])
    house.releases.withdraw(actor="acceptance test")
    withdrawn = [entry for entry in house.releases.history() if entry.action is Action.WITHDRAWN]
    assert len(withdrawn) == 1 and LEARNT in withdrawn[0].reason
    with pytest.raises(CommandFailed, match="NotEarned"):
        stack.kiban("promote")
