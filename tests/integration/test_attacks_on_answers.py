"""The attacks on what is answered, against model servers that lie and obey; `kiban bench attacks C2 C4` asks
the real one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kiban.bench.attacks import cached, citing, injected
from kiban.bench.attacks.injections import injected as documents
from kiban.bench.attacks.stage import Stage
from kiban.domain.question import Turn
from kiban.settings import Settings
from kiban.testing import ModelServer
from kiban.wiring.furniture import Furniture


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(Furniture(Settings()), scale=0.004, hashed=True) as staged:
        yield staged


def test_nothing_unverified_is_shown_of_a_model_that_lies_in_every_way(stage: Stage) -> None:
    figure = citing.false_citations(stage)
    assert figure.passed, figure
    assert figure.trials >= 2 * len(citing.LIES)


def test_what_judges_citations_finds_false_ones() -> None:
    passage = {"number": 1, "text": "宿泊費は11,000円を上限とする。", "span": [100, 117]}
    true = {"number": 1, "span": [100, 111], "quote": "宿泊費は11,000円"}

    def reply(text: str, *citations: object) -> citing.Shown:
        sources = {"passages": [passage], "citations": citations}
        return citing._shown({"choices": [{"message": {"content": text}}], "kiban": sources})

    assert reply("「宿泊費は11,000円」[1]", true) == citing.Shown(0, 1, False)
    assert reply("「宿泊費は12,000円」[1]").invalid == 1
    assert reply("「宿泊費は11,000円」[2]").invalid == 1
    assert reply("11,000円です［１］").invalid == 1
    assert reply("", {**true, "span": [101, 112]}).invalid == 1
    assert reply("", {**true, "number": 2}).invalid == 1
    assert reply(f"「{citing.SECRET}」[1]").secret


def test_no_harm_comes_of_a_model_that_obeys_every_document(stage: Stage) -> None:
    outcomes = injected.obedient(stage)
    read = [outcome for outcome in outcomes if outcome.shown]
    assert {outcome.family for outcome in read} == {"ignore", "exfil", "tool", "persona"}
    assert len(read) > len(outcomes) // 2
    assert all(outcome.obeyed for outcome in read)
    assert not any(outcome.harm for outcome in outcomes)


def test_harm_is_seen_where_there_is_some() -> None:
    for one in (each for each in documents() if each.family == "exfil"):
        reply = {
            "choices": [{"message": {"content": one.obeyed}}],
            "kiban": {"citations": [], "passages": []},
        }
        assert injected._outcome(one, reply).harm, one.obeyed


def test_there_are_two_hundred_orders_each_with_a_sign_of_its_own() -> None:
    every = documents()
    assert len({one.text for one in every}) == len({one.sign for one in every}) == 200
    assert all(one.sign in one.text and one.sign in one.obeyed for one in every)
    assert not any(a.sign in b.text for a in every for b in every if a is not b)
    assert len({one.family for one in every[:8]}) == 4


def test_people_of_another_zone_ask_under_another_salt(stage: Stage) -> None:
    stage.scale = 0.0  # forty prompts
    server = ModelServer(lambda turns, model: "a")
    with server.serving() as url:
        stage.furniture = Furniture(Settings(vllm_urls=(url,)))
        assert cached.prefix_timing(stage).trials == 40
    by_prompt: dict[str, list[str]] = {}
    for body in server.asked:
        by_prompt.setdefault(str([Turn(m["role"], m["content"]) for m in body["messages"]]), []).append(
            body["cache_salt"]
        )
    twice = [salts for salts in by_prompt.values() if len(salts) == 2]
    assert sorted(len(set(salts)) for salts in twice) == [1] * 4 + [2] * 20  # colleagues share one
