"""A source that hangs delays nobody: the flows as Prefect runs them, on a real Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest
from prefect.testing.utilities import prefect_test_harness

from flows import ingest as ingest_flow
from flows import tend as tend_flow
from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.search import PostgresSearch
from kiban.domain.access import Principal
from kiban.errors import PartUnavailable
from kiban.ingest.absorb import Cutter
from kiban.ports import Source
from kiban.settings import Settings
from kiban.testing import HangingSource, HashEmbedder, MemoryParser, WordTokenizer
from kiban.wiring.documents import Documents
from kiban.wiring.furniture import Furniture

PERSON = "tanaka"


class Office(Furniture):
    """The house's furniture with a source that hangs, listed first, and a folder."""

    def __init__(self, folder: Path, postgres: Postgres) -> None:
        documents = folder / "documents"
        documents.mkdir()
        (documents / ".people.yaml").write_text(f"{PERSON}: [hr]")
        (documents / ".readers.yaml").write_text("readers: [hr]")
        (documents / "pay.md").write_text("x")
        hanging = {"kind": "folder", "name": "hanging", "path": str(folder)}
        times = {"look_seconds": 0.5, "listing_minutes": 0.01}
        super().__init__(
            Settings(state=folder, documents=documents, sources=({**hanging, **times},))  # type: ignore[arg-type]
        )
        self.postgres = postgres
        self.tokenizer = WordTokenizer()  # type: ignore[assignment]
        self.parser = MemoryParser({"pay.md": "基本給は毎月支給する。"})  # type: ignore[assignment]
        self.hanging = HangingSource()
        self.sources: tuple[Source, ...] = (self.hanging, *self.sources[:1])  # type: ignore[misc]
        self.quick = HashEmbedder()
        self.library.add_generation("quick", "sha", self.quick.dimensions, "words-1", "plain")

    def cutters(self) -> tuple[Cutter, ...]:
        return (Cutter(self.tokenizer, {number: self.quick for number, *_ in self.library.generations()}),)

    def visible(self) -> int:
        return PostgresSearch(self.postgres).visible_chunks(
            Principal(PERSON, self.directory.groups_of(PERSON))
        )


@pytest.fixture
def office(tmp_path: Path, postgres: Postgres) -> Office:
    return Office(tmp_path, postgres)


@pytest.fixture
def flows(office: Office, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    house = Mock(documents=Documents(office), furniture=office)
    house.releases.withdraw.return_value = None
    for module in (ingest_flow, tend_flow):
        monkeypatch.setattr(module, "house", lambda: house)
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.mark.usefixtures("flows")
def test_what_others_hold_comes_in_and_is_taken_away_while_one_hangs(office: Office) -> None:
    with pytest.raises(PartUnavailable, match="hanging was not done"):
        ingest_flow.ingest()
    assert office.visible() == 1

    (office.settings.documents / ".readers.yaml").write_text("readers: [board]")
    with pytest.raises(PartUnavailable, match="hanging was not done"):
        tend_flow.tend()
    assert office.visible() == 0

    told = {each.name: each.last_error for each in Documents(office).outlook()}
    assert "was not done" in told.pop("hanging") and set(told.values()) == {""}


def test_who_is_out_of_a_group_is_followed_while_one_hangs(office: Office) -> None:
    _, folder = office.sources
    Documents(office).ingest(folder.name)
    assert office.visible() == 1
    (office.settings.documents / ".people.yaml").write_text(f"{PERSON}: []")
    with pytest.raises(PartUnavailable, match="hanging was not done"):
        Documents(office).watch_readers(seconds=0)
    assert office.visible() == 0
    assert office.hanging.asked.is_set()
