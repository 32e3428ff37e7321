"""`kiban search` keeps to what it is asked about."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from kiban.cli import app
from kiban.domain.access import EVERYONE, Principal
from kiban.domain.document import Place
from kiban.domain.question import EVERYTHING, Found, Scope
from services.chat.testing import MemoryHouse


class Answers:
    """Answers from the in-memory house, and keeps the scope it was given."""

    def __init__(self, house: MemoryHouse) -> None:
        self._house = house
        self.scope = EVERYTHING

    def known(self, subject: str) -> Principal:
        return Principal(subject, frozenset())

    def search(self, question: str, who: Principal, limit: int, lanes: list[str], scope: Scope) -> Found:
        self.scope = scope
        return self._house.search(question, who, limit, lanes, scope)


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Answers:
    house = MemoryHouse(tmp_path, {}, lambda turns: [])
    house.shelve("旅費規程", frozenset({EVERYONE}), (Place(page=4), "宿泊費は11,000円を上限とする。"))
    house.shelve("hotels", frozenset({EVERYONE}), (Place(page=1), "宿泊費 means the hotel."))
    answers = Answers(house)
    monkeypatch.setattr("kiban.wiring.house", lambda: SimpleNamespace(answers=answers))
    return answers


def titles(*words: str) -> list[str]:
    told = CliRunner().invoke(app, ["search", "宿泊費", "--as", "sato", "--json", *words])
    assert told.exit_code == 0, told.output
    return [passage["title"] for passage in json.loads(told.output)["passages"]]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ((), {"旅費規程", "hotels"}),
        (("--under", "旅費"), {"旅費規程"}),
        (("--format", ".MD", "--format", "pdf"), {"旅費規程", "hotels"}),
        (("--format", "pdf"), set()),
        (("--source", "wiki"), set()),
    ],
)
def test_only_documents_in_scope_are_found(answers: Answers, words: tuple[str, ...], found: set[str]) -> None:
    assert set(titles(*words)) == found


def test_dates_are_those_of_the_clock_on_the_wall(answers: Answers) -> None:
    assert titles("--modified-from", "2026-04-01", "--modified-before", "2026-04-02T09:30:00") == []
    assert answers.scope == Scope(
        modified_from=datetime(2026, 4, 1).astimezone(),
        modified_before=datetime(2026, 4, 2, 9, 30).astimezone(),
    )
