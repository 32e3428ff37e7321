"""The nightly examination of a release, with a model and a search that may change behind its back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from adapting import shelf

from kiban.backends.nights import NightShelf
from kiban.domain.drift import Drift
from kiban.domain.question import Passage, Turn
from kiban.domain.release import Release
from kiban.errors import Drifted, TooFewExamples
from kiban.testing import ScriptedGenerator
from kiban.wiring.nights import Nights

RELEASE = Release("base", None, None, None, "embedder", "e" * 64, 1, "prompt", None)


class House:
    """Ten documents, a search that puts the right one first, and a model that reads what it is shown."""

    def __init__(self, folder: Path) -> None:
        self.documents, self.passages = shelf()
        self.release, self.forgetful, self.backwards = RELEASE, False, False
        self.logged: list[dict[str, float]] = []
        index = SimpleNamespace(
            browse=lambda who: self.passages,
            documents=lambda who: self.documents,
            sensitive=lambda who, ids: dict.fromkeys(ids, ()),
        )
        furniture: Any = SimpleNamespace(
            index=index,
            registry=SimpleNamespace(run=self.run),
            nights=NightShelf(folder),
            base_of=lambda release: SimpleNamespace(generator=ScriptedGenerator(self.write)),
            stage=lambda name: lambda *told: None,
        )
        releases: Any = SimpleNamespace(in_force=lambda: self.release)
        answers: Any = self
        self.nights = Nights(furniture, releases, answers)

    @contextmanager
    def run(self, name: str, tags: dict[str, str]) -> Iterator[object]:
        yield SimpleNamespace(log=lambda step, measures: self.logged.append(measures), keep=Path.stat)

    def find_with(self, release: Release, question: str, who: object, limit: int) -> list[Passage]:
        ranked = sorted(self.passages, key=lambda one: one.original[:2] not in question)[:limit]
        return ranked[::-1] if self.backwards else ranked

    def write(self, turns: Sequence[Turn], model: str) -> str:
        told = turns[-1].text
        says = [one.original for one in self.passages if f"{one.original.split('は')[0]}は月額いくら" in told]
        return says[0] if says and says[0] in told and not self.forgetful else "資料に記載なし"


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Give a house whose first night is over."""
    opened = House(tmp_path)
    assert opened.nights.conclude(opened.nights.examine()) is None
    return opened


def drifts(house: House) -> tuple[Drift, ...]:
    night = house.nights.examine()
    assert night is not None
    return night.drifts


def test_the_first_night_keeps_answers_and_the_second_compares(house: House) -> None:
    assert house.nights.all() == []
    night = house.nights.conclude(house.nights.examine())
    assert night is not None
    assert (night.drifts, night.worn, house.nights.all()) == ((), 0, [night])
    assert house.logged[0]["model_correct"] == 1.0
    assert "異常はありません" in house.nights.page().read_text("utf-8")


def test_a_model_that_changed_behind_the_release_is_named_and_nothing_else(house: House) -> None:
    house.forgetful = True
    assert drifts(house) == (Drift.MODEL,)


def test_a_search_that_changed_is_named_and_nothing_else(house: House) -> None:
    house.backwards = True
    assert drifts(house) == (Drift.RETRIEVAL,)


def test_an_alarm_fails_the_run_and_names_the_mend(house: House) -> None:
    house.forgetful = True
    with pytest.raises(Drifted, match=r"model: .*kiban drift"):
        house.nights.conclude(house.nights.examine())
    assert len(house.nights.all()) == 1


def test_another_release_has_a_first_night_of_its_own_with_the_same_questions(house: House) -> None:
    house.release, house.forgetful = replace(RELEASE, adapter="everyone@1"), True
    assert house.nights.examine() is None
    assert drifts(house) == ()
    house.release = RELEASE
    assert drifts(house) == (Drift.MODEL,)


def test_questions_about_documents_that_changed_are_put_aside_until_too_few_are_left(house: House) -> None:
    house.documents[0] = replace(house.documents[0], version=2)
    night = house.nights.examine()
    assert night is not None and night.worn == 1
    house.documents[1:4] = [replace(each, version=2) for each in house.documents[1:4]]
    with pytest.raises(TooFewExamples, match="kiban drift --freeze"):
        house.nights.examine()
    house.nights.forget()
    assert house.nights.examine() is None
    assert drifts(house) == ()
