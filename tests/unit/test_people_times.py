"""Memberships that cost much to ask for are asked for seldom, whichever process asks."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import cast

import pytest

from kiban.errors import PartUnavailable
from kiban.settings import Settings
from kiban.testing import MemoryLibrary, MemoryQueue, MemorySource
from kiban.wiring.documents import Documents
from kiban.wiring.furniture import Furniture

TABLES = (
    {"kind": "folder", "name": "near", "path": "/nowhere"},
    {"kind": "imap", "name": "mail", "host": "h", "username": "u", "password": "p", "readers": "people"},
    {"kind": "slack", "name": "slack", "token": "t", "people_seconds": 90},
)


class Asked(MemorySource):
    def __init__(self, name: str, *, answers: bool = True) -> None:
        super().__init__(name)
        self.answers = answers
        self.times = 0

    def memberships(self) -> dict[str, frozenset[str]]:
        self.times += 1
        if not self.answers:
            raise PartUnavailable(self.name)
        return {}


class Office:
    """As much furniture as following people needs."""

    def __init__(self, state: Path, *sources: Asked) -> None:
        self.settings = Settings(state=state, sources=TABLES)  # type: ignore[arg-type]
        self.sources = sources
        self.library = MemoryLibrary()
        self.queue = MemoryQueue(self.library)

    def source(self, name: str) -> Asked:
        return {source.name: source for source in self.sources}[name]

    def documents(self) -> Documents:
        return Documents(cast("Furniture", self))


def _pass(state: Path, seconds: float) -> None:
    for stamp in (state / "sources" / "people").iterdir():
        before = time.time() - seconds
        os.utime(stamp, (before, before))


def test_each_source_is_asked_as_often_as_its_settings_say(tmp_path: Path) -> None:
    asked = [Asked(name) for name in ("near", "mail", "slack", "folder:/x")]
    office = Office(tmp_path, *asked)
    told = []
    for seconds in (0, 0, 3, 91, 301):
        if told:
            _pass(tmp_path, seconds)
        office.documents().follow_people()  # a new process each time
        told.append([source.times for source in asked])
    assert told == [[1, 1, 1, 1], [1, 1, 1, 1], [2, 1, 1, 2], [3, 1, 2, 3], [4, 2, 3, 4]]


def test_one_that_does_not_answer_keeps_no_other_waiting(tmp_path: Path) -> None:
    silent, other = Asked("slack", answers=False), Asked("near")
    documents = Office(tmp_path, silent, other).documents()
    with pytest.raises(PartUnavailable, match="slack"):
        documents.watch_readers(seconds=0)
    assert (silent.times, other.times) == (1, 1)
    assert documents.watch_readers(seconds=0) == 0
    assert silent.times == 1  # not asked again so soon
