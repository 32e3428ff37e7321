"""The company's policy at every door of a running house: Postgres, ledger, records and chat are real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

from kiban.backends.text_classifier import TextClassifier
from kiban.bench.attacks.answering import QUESTION, SENTENCE, Answering, answering
from kiban.bench.attacks.company import _document, company
from kiban.bench.attacks.stage import Stage
from kiban.domain.access import ALL
from kiban.domain.record import Ending
from kiban.domain.sensitive import Finding, Kind
from kiban.domain.text import Span
from kiban.errors import BadWeights, SettingsError
from kiban.settings import Settings
from kiban.wiring.furniture import Furniture
from kiban.wiring.policy import Policing

CONTACT = "国内出張の宿泊費の問い合わせは 090-1234-5678 へ。"
POLICY = """
[[blocked]]
name = "weapons"
words = ["爆弾"]
exempt = ["security"]

[[veiled]]
kinds = ["phone number"]
shown_to = ["hr"]
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answering]:
    path = tmp_path_factory.mktemp("policy") / "policy.toml"
    path.write_text(POLICY, "utf-8")
    with (
        Stage(Furniture(Settings()), scale=0.004, hashed=True) as stage,
        answering(stage, policy=path) as running,
    ):
        founded = company(stage)
        arrived = _document("contact.md", [CONTACT], ALL, founded.tokenizer)
        at = CONTACT.index("090")
        (chunk,) = arrived.chunks
        marked = replace(chunk, sensitive=(Finding(Kind.PHONE, Span(at, at + 13)),))
        vectors = {founded.generation: founded.embedder.passages([CONTACT])}
        founded.library.put("attacks", [replace(arrived, chunks=(marked,))], vectors)
        founded.library.set_memberships(
            "attacks", {"mori": frozenset({"hr"}), "kato": frozenset({"security"})}
        )
        yield running


def ask(house: Answering, question: str, subject: str = "person00", **more: Any) -> dict[str, Any]:
    body = {"model": "kiban", "messages": [{"role": "user", "content": question}], **more}
    with house.client(subject) as client:
        return dict(client.post(f"{house.url}/v1/chat/completions", json=body).json())


def test_a_question_is_refused_and_recorded_by_its_rule(house: Answering) -> None:
    house.servers[0].asked.clear()
    reply = ask(house, "爆 弾の作り方は？")
    (choice,) = reply["choices"]
    assert choice["finish_reason"] == "content_filter"
    assert choice["message"]["content"] == "社内の規定により、この質問には回答できません。"
    assert (reply["kiban"]["refused_by"], reply["kiban"]["passages"]) == ("weapons", [])
    assert not house.servers[0].asked
    line = list(house.furniture.records.kept())[-1]
    assert (line.what.ending, line.what.refused_by) == (Ending.REFUSED, "weapons")
    assert house.furniture.records.verify() is None
    with house.client() as client:
        told = client.get(f"{house.url}/metrics").text
    assert 'kiban_chat_refusals_total{rule="weapons"}' in told
    assert "kiban_chat_answers_under_way 0.0" in told


def test_a_refused_response_is_incomplete_for_its_content(house: Answering) -> None:
    with house.client() as client:
        reply = client.post(
            f"{house.url}/v1/responses", json={"model": "kiban", "input": "爆弾の作り方は？"}
        ).json()
    assert (reply["status"], reply["incomplete_details"]) == ("incomplete", {"reason": "content_filter"})


def test_what_was_said_before_counts_and_whom_a_rule_exempts_is_answered(house: Answering) -> None:
    before = [{"role": "user", "content": "爆弾の話"}, {"role": "user", "content": QUESTION}]
    assert ask(house, "", messages=before)["kiban"]["refused_by"] == "weapons"
    assert ask(house, "", "kato", messages=before)["kiban"]["refused_by"] == ""


def test_an_answer_stops_before_a_blocked_word_while_it_streams(house: Answering) -> None:
    usual = house.servers[0].write
    house.servers[0].write = lambda turns, model: "前置きの文です。次に爆弾を作ります。そして終わりです。"
    try:
        body = {"model": "kiban", "messages": [{"role": "user", "content": QUESTION}], "stream": True}
        with (
            house.client() as client,
            client.stream("POST", f"{house.url}/v1/chat/completions", json=body) as reply,
        ):
            lines = [line.removeprefix("data: ") for line in reply.iter_lines() if line.startswith("data: {")]
    finally:
        house.servers[0].write = usual
    events = [json.loads(line) for line in lines]
    text = "".join(event["choices"][0]["delta"].get("content") or "" for event in events)
    assert text == "前置きの文です。\n\n（社内の規定により、ここから先は表示できません。）"
    assert events[-1]["choices"][0]["finish_reason"] == "content_filter"
    assert list(house.furniture.records.kept())[-1].what.refused_by == "weapons"


@pytest.mark.parametrize(("subject", "sees"), [("person00", False), ("mori", True)])
def test_personal_data_is_shown_at_no_door_but_to_whom_it_is_for(
    house: Answering, subject: str, sees: bool
) -> None:
    house.servers[0].asked.clear()
    reply = ask(house, QUESTION, subject)
    with house.client(subject) as client:
        found = client.post(f"{house.url}/v1/search", json={"query": QUESTION}).json()["data"]
        id = next(one["document_id"] for one in found if one["uri"] == "contact.md")
        read = client.get(f"{house.url}/v1/documents/{id}").json()
        begun = client.post(f"{house.url}/v1/conversations").json()["id"]
        ask(house, QUESTION, subject, conversation=begun)
        kept = client.get(f"{house.url}/v1/conversations/{begun}").json()
    doors = (reply, found, read, kept, house.servers[0].asked)
    for door in map(lambda one: json.dumps(one, ensure_ascii=False), doors):
        assert ("090-1234-5678" in door) is sees
        assert ("■■■-■■■■" in door or "■" * 13 in door) is not sees
    assert SENTENCE in reply["choices"][0]["message"]["content"]


def test_a_number_that_one_is_not_shown_cannot_be_searched_for(house: Answering) -> None:
    def best(subject: str) -> str:
        with house.client(subject) as client:
            found = client.post(
                f"{house.url}/v1/search", json={"query": "090-1234-5678", "lanes": ["lexical"]}
            )
        return str(found.json()["data"][:1])

    assert "contact.md" in best("mori")
    assert "contact.md" not in best("person00")
    with house.client() as client:
        assert client.post(f"{house.url}/v1/search", json={"query": "爆弾"}).status_code == 403


def test_a_policy_that_cannot_be_read_keeps_the_service_from_starting(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("typo = 1")
    policing = Policing(Furniture(Settings(policy=tmp_path / "policy.toml")))
    with pytest.raises(SettingsError, match="typo"):
        policing.require_sound()


def test_a_classifier_tells_its_labels_and_their_probabilities(tmp_path: Path) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefg"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, id2label={0: "fine", 1: "toxic"}, label2id={"fine": 0, "toxic": 1},
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    BertTokenizerFast(vocab=str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    classifier = TextClassifier(tmp_path, "cpu")
    assert classifier.labels == {"fine", "toxic"}
    told = classifier.probabilities("a b c")
    assert sum(told.values()) == pytest.approx(1.0)
    assert told != classifier.probabilities("g f")
    with pytest.raises(BadWeights):
        TextClassifier(tmp_path / "none", "cpu")
