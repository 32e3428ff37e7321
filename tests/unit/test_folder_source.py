"""A folder lists its files with their readers; whatever is unclear means nobody."""

from __future__ import annotations

import hashlib
import logging
import os
import time
import unicodedata
from pathlib import Path

import pytest

from kiban.backends.sources.folder import FolderSource
from kiban.domain.access import NOBODY, Audience
from kiban.domain.document import Listed, SourceFile
from kiban.errors import GoneMeanwhile, OversizeFile, PartUnavailable


def _listed(root: Path) -> dict[str, Listed]:
    return {listed.uri: listed for listed in FolderSource("here", root, 1000).listing().entries}


def _fetched(root: Path, uri: str, max_bytes: int = 1000) -> SourceFile:
    folder = root.parent / "fetched"
    folder.mkdir(exist_ok=True)
    return FolderSource("here", root, max_bytes).fetch(_listed(root)[uri], folder)


def _later(root: Path) -> dict[str, Listed]:
    """List once the clock has moved on."""
    time.sleep(0.05)
    return _listed(root)


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def test_files_are_listed_and_fetched_with_size_and_hash(tmp_path: Path) -> None:
    root = tmp_path / "root"
    _write(root / "規程" / "旅費.md", "# 旅費")
    listed, file = _listed(root)["規程/旅費.md"], _fetched(root, "規程/旅費.md")
    assert listed.size == file.size == len("# 旅費".encode())
    assert listed.url == (root / "規程" / "旅費.md").as_uri()
    assert file.sha256 == hashlib.sha256("# 旅費".encode()).hexdigest()
    assert file.path.read_text(encoding="utf-8") == "# 旅費"
    assert (file.uri, file.tag, file.identity) == (listed.uri, listed.tag, listed.identity)


def test_content_that_changes_under_its_old_size_and_date_has_another_tag(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    _write(path, "one")
    status, before = path.stat(), _listed(tmp_path)["a.md"]
    with path.open("r+") as content:
        content.write("two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = _later(tmp_path)["a.md"]
    assert (before.size, before.modified, before.identity) == (after.size, after.modified, after.identity)
    assert before.tag != after.tag


def test_a_file_changed_just_now_is_looked_at_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path / "a.md", "one")
    fresh = _listed(tmp_path)["a.md"].tag
    now = time.time()
    monkeypatch.setattr("kiban.backends.sources.folder.time.time", lambda: now + 60)
    settled = _listed(tmp_path)["a.md"].tag
    assert fresh != settled == _listed(tmp_path)["a.md"].tag


def test_a_file_that_is_renamed_keeps_its_identity(tmp_path: Path) -> None:
    _write(tmp_path / "a.md", "x")
    before = _listed(tmp_path)["a.md"].identity
    (tmp_path / "a.md").rename(tmp_path / "b.md")
    assert _listed(tmp_path)["b.md"].identity == before


def test_what_is_gone_when_fetched_is_called_gone(tmp_path: Path) -> None:
    root = tmp_path / "root"
    _write(root / "hr/pay.md", "x")
    _write(root / "faq.md", "x")
    listed = _listed(root)["hr/pay.md"]
    (root / "hr").rename(tmp_path / "elsewhere")
    source = FolderSource("here", root, 1000)
    with pytest.raises(GoneMeanwhile):
        source.fetch(listed, tmp_path)
    (root / "hr").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(GoneMeanwhile, match="link"):
        source.fetch(listed, tmp_path)


def test_nothing_is_gone_where_the_folder_is_not_mounted(tmp_path: Path) -> None:
    root = tmp_path / "root"
    _write(root / "pay.md", "x")
    listed, source = _listed(root)["pay.md"], FolderSource("here", root, 1000)
    (root / "pay.md").unlink()
    with pytest.raises(PartUnavailable, match="or empty"):
        source.fetch(listed, tmp_path)
    root.rmdir()
    with pytest.raises(PartUnavailable, match="not there"):
        source.fetch(listed, tmp_path)


def test_the_nearest_readers_file_decides(tmp_path: Path) -> None:
    for name in ("top.md", "hr/pay.md", "hr/open/faq.md", "hr/open/deep/down.md"):
        _write(tmp_path / name, "x")
    _write(tmp_path / ".readers.yaml", "readers: [everyone]")
    _write(tmp_path / "hr/.readers.yaml", "readers: [hr, directors]")
    _write(tmp_path / "hr/open/.readers.yaml", "readers:\n  - everyone\n")
    audiences = {uri: file.audience.groups for uri, file in _listed(tmp_path).items()}
    assert audiences == {
        "top.md": {"everyone"},
        "hr/pay.md": {"hr", "directors"},
        "hr/open/faq.md": {"everyone"},
        "hr/open/deep/down.md": {"everyone"},
    }


def test_without_a_readers_file_nobody_may_read(tmp_path: Path) -> None:
    _write(tmp_path / "a.md", "x")
    assert _listed(tmp_path)["a.md"].audience == NOBODY


@pytest.mark.parametrize(
    "wrong",
    [
        "readers: everyone",
        "readers: [hr, 7]",
        "readers: ['a,b']",
        "readers: ['']",
        "reader: [everyone]",
        "[everyone]",
        "readers: [everyone",
        "",
        "readers: !!python/object/apply:os.getcwd []",
        "\x00",
    ],
)
def test_a_readers_file_that_is_wrong_means_nobody_even_below_everyone(
    tmp_path: Path, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    _write(tmp_path / ".readers.yaml", "readers: [everyone]")
    _write(tmp_path / "hr/pay.md", "x")
    _write(tmp_path / "hr/.readers.yaml", wrong)
    with caplog.at_level(logging.WARNING):
        assert _listed(tmp_path)["hr/pay.md"].audience == NOBODY
    assert "hr/.readers.yaml" in caplog.text


def test_a_readers_file_that_is_a_link_means_nobody(tmp_path: Path) -> None:
    _write(tmp_path / ".readers.yaml", "readers: [everyone]")
    _write(tmp_path / "hr/pay.md", "x")
    (tmp_path / "hr/.readers.yaml").symlink_to(tmp_path / ".readers.yaml")
    assert _listed(tmp_path)["hr/pay.md"].audience == NOBODY


def test_links_hidden_and_temporary_files_are_left_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside.md"
    outside.write_text("secret")
    root = tmp_path / "root"
    for name in ("a.md", ".hidden.md", "~$a.docx", "a.md~", "b.tmp", "Thumbs.db", ".git/c.md"):
        _write(root / name, "x")
    (root / "link.md").symlink_to(outside)
    (root / "folder").symlink_to(tmp_path)
    os.mkfifo(root / "pipe.md")
    assert set(_listed(root)) == {"a.md"}


def test_names_are_compared_in_one_unicode_form(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    apart = unicodedata.normalize("NFD", "ガイド.md")
    _write(tmp_path / apart, "x")
    assert set(_listed(tmp_path)) == {"ガイド.md"}
    source = FolderSource("here", tmp_path, 1000)
    assert source.fetch(_listed(tmp_path)["ガイド.md"], tmp_path.parent).size == 1
    _write(tmp_path / "ガイド.md", "y")
    assert len(_listed(tmp_path)) == 1
    assert "Unicode form" in caplog.text


def test_an_oversize_file_is_listed_but_not_fetched(tmp_path: Path) -> None:
    root = tmp_path / "root"
    _write(root / "big.txt", "x" * 1001)
    assert _listed(root)["big.txt"].size == 1001
    with pytest.raises(OversizeFile, match="1,001 bytes"):
        _fetched(root, "big.txt")


def test_a_folder_that_is_not_there_is_not_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(PartUnavailable, match="nowhere"):
        _listed(tmp_path / "nowhere")


def test_people_are_in_the_groups_the_root_says(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = FolderSource("here", tmp_path, 1000)
    assert source.memberships() == {}
    _write(tmp_path / ".people.yaml", "sato: [hr, sales]\nito: []\nkato: hr\n")
    assert source.memberships() == {
        "sato": frozenset({"hr", "sales"}),
        "ito": frozenset(),
        "kato": frozenset(),
    }
    assert "kato" in caplog.text
    _write(tmp_path / ".people.yaml", "- sato\n")
    assert source.memberships() == {}


def test_audiences_are_equal_whatever_the_order_of_groups(tmp_path: Path) -> None:
    _write(tmp_path / "a.md", "x")
    _write(tmp_path / ".readers.yaml", "readers: [b, a, b]")
    assert _listed(tmp_path)["a.md"].audience == Audience(frozenset({"a", "b"}))
