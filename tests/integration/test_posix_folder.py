"""An attack in the manner of A7: a mode is narrowed, and the next survey has taken the document away."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.search import PostgresDirectory, PostgresSearch
from kiban.backends.sources.folder import FolderSource
from kiban.backends.sources.posix_readers import PosixReaders
from kiban.bench.attacks.ingest_worker import reading
from kiban.domain.access import Principal
from kiban.ingest import absorb
from kiban.ingest.survey import survey

GUEST = Principal("guest", frozenset())


@pytest.mark.parametrize("narrowed", ["hr/pay.txt", "hr", "."])
@pytest.mark.parametrize("mode", [0o600, 0o700, 0o640, 0o604])
def test_a_mode_that_is_narrowed_is_followed_by_the_next_survey(
    tmp_path: Path, postgres: Postgres, narrowed: str, mode: int
) -> None:
    root = tmp_path / "files"
    (root / "hr").mkdir(parents=True)
    (root / "hr" / "pay.txt").write_text("基本給は毎月支給する。")
    for path, open_mode in ((root, 0o755), (root / "hr", 0o755), (root / "hr" / "pay.txt", 0o644)):
        path.chmod(open_mode)
    source = FolderSource("files", root, 1000, PosixReaders("files"))
    made = reading(postgres, 1)
    made.library.add_generation("quick", "sha", 64, "words-1", "plain")  # type: ignore[attr-defined]
    search, directory = PostgresSearch(postgres), PostgresDirectory(postgres)

    survey(source, made.library, made.queue)
    absorb.drain(source, made)
    assert search.visible_chunks(GUEST) == 1

    (root / narrowed).chmod(mode)
    survey(source, made.library, made.queue)
    assert search.visible_chunks(GUEST) == 0
    owner = Path(root).owner()
    mine = Principal(owner, directory.groups_of(owner))
    passes = mode & 0o100 or narrowed.endswith(".txt")
    assert search.visible_chunks(mine) == bool(passes)
