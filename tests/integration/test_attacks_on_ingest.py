"""The attacks on ingest, at a small scale; `kiban bench attacks F1 F2 A7 --scale 1` stages them in full."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kiban.bench.attacks import ingest
from kiban.bench.attacks.stage import Stage
from kiban.settings import Settings
from kiban.wiring import House
from kiban.wiring.furniture import Furniture


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(Furniture(Settings()), scale=0.1, hashed=True) as staged:
        yield staged


def test_a_killed_worker_leaves_no_trace_after_the_next_run(stage: Stage) -> None:
    figure = ingest.killed_worker(stage)
    assert figure.passed, figure


def test_a_cut_connection_shows_no_half_document_and_the_next_run_completes(stage: Stage) -> None:
    figure = ingest.postgres_cut(stage)
    assert figure.passed, figure


def test_who_may_read_no_more_finds_nothing_at_once(stage: Stage) -> None:
    figure = ingest.revoked_reader(stage)
    assert "; 0 still found" in figure.value, figure


def test_a_folder_whose_readers_change_is_noticed_without_listing(tmp_path: Path) -> None:
    (tmp_path / "hr").mkdir()
    (tmp_path / "hr" / ".readers.yaml").write_text("readers: [hr]")
    source = House(Settings(documents=tmp_path)).furniture.sources[0]
    assert isinstance(source, ingest.FolderSource)
    before = source.rules()
    (tmp_path / "hr" / ".readers.yaml").write_text("readers: [board]")
    assert source.rules() != before
