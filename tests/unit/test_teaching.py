"""Who teaches is asked what the student is shown, no more than may leave; how many share a training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from adapting import ALL, curriculum

from kiban.adapt import distil
from kiban.answer import prompt
from kiban.backends.several import Several
from kiban.backends.vllm_generator import VllmGenerator
from kiban.domain.access import Audience
from kiban.domain.learning import Curriculum, Lineage
from kiban.domain.question import Turn
from kiban.errors import NotPermitted
from kiban.testing import ModelServer
from kiban.wiring.teaching import SERVED, Teaching
from kiban.wiring.weights import WeightsMaking

SEEN = Lineage(77, "old.md", 3, "7" * 64)


def knowing(written: Curriculum) -> ModelServer:
    """Serve a model that gives each target back, in its own words."""
    targets = {example.prompt[-1].text: example.target for example in written.examples}

    def write(turns: Sequence[Turn], model: str) -> str:
        target = targets[turns[-1].text]
        return target.replace("です。", "となります。", 1) if "[" in target else prompt.abstention("ja")

    return ModelServer(write)


def teaching(url: str, teacher: str, adapter: str | None = None, known: Curriculum | None = None) -> Teaching:
    generator = VllmGenerator([url], api_key="secret")
    folder = SimpleNamespace(curriculum=lambda: known) if known else None
    furniture: Any = SimpleNamespace(
        base=SimpleNamespace(generator=generator, title="small aaaaaaaaaaaa"),
        teacher=generator,
        settings=SimpleNamespace(teacher=teacher, teacher_model="base"),
        detector=SimpleNamespace(findings=lambda text: ()),
        stage=lambda name: lambda done, total, what: None,
        candidates=SimpleNamespace(holding=lambda sha256: folder),
    )
    in_force = SimpleNamespace(adapter=None, adapter_sha256=adapter)
    releases: Any = SimpleNamespace(in_force=lambda: in_force)
    return Teaching(furniture, releases)


def test_a_server_with_an_address_teaches_everyones_curriculum() -> None:
    written = curriculum()
    server = knowing(written)
    with server.serving() as url:
        learnt, stage = teaching(url, url).teach(written)
    assert stage.kept == stage.given == len(distil.asked(written))
    assert {example.teacher.name for example in distil.asked(learnt)} == {"base"}
    assert set(server.keys) == {"Bearer secret"} and learnt.lineage == written.lineage
    sent = {body["messages"][-1]["content"] for body in server.asked}
    assert sent == {example.prompt[-1].text for example in distil.asked(written)}


def test_a_zones_curriculum_is_sent_to_no_address() -> None:
    written = replace(curriculum(), audience=Audience(frozenset({"hr"})))
    server = knowing(written)
    with server.serving() as url, pytest.raises(NotPermitted, match="may not leave this house"):
        teaching(url, url).teach(written)
    assert server.asked == []


def test_what_answers_everyone_may_teach_a_zone_and_its_sources_are_learnt_from() -> None:
    written = replace(curriculum(), audience=Audience(frozenset({"hr"})))
    before = curriculum()
    (first, *others) = before.examples
    known = replace(before, examples=(replace(first, lineage=(SEEN,)), *others))
    with knowing(written).serving() as url:
        learnt, _ = teaching(url, SERVED, "f" * 64, known).teach(written)
        assert SEEN in learnt.lineage and SEEN not in written.lineage
        with pytest.raises(NotPermitted, match="Nobody knows"):
            teaching(url, SERVED, "f" * 64).teach(written)
    assert ALL.covers(learnt.audience)


def test_so_many_processes_share_a_training_as_the_settings_say() -> None:
    def shared(**settings: Any) -> Any:
        said = {"training_processes": 1, "training_engine": "here", "training_sharded": False}
        furniture: Any = SimpleNamespace(settings=SimpleNamespace(**said | settings))
        trainer: Any = "trainer"
        nobody: Any = None
        return WeightsMaking(furniture, nobody, nobody)._shared(trainer)

    assert shared() == "trainer"
    assert shared(training_processes=4, training_sharded=True) == Several("trainer", 4, sharded=True)
