"""A folder lists its files with their readers; whatever is unclear means nobody."""

from __future__ import annotations

import hashlib
import logging
import os
import unicodedata
from pathlib import Path

import pytest

from kiban.backends.sources.folder import FolderSource
from kiban.domain.access import NOBODY, Audience
from kiban.domain.document import SourceFile
from kiban.errors import PartUnavailable


def _listed(root: Path, max_bytes: int = 1000) -> dict[str, SourceFile]:
    return {file.uri: file for file in FolderSource("here", root, max_bytes).files()}


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def test_files_are_listed_with_path_size_and_hash(tmp_path: Path) -> None:
    _write(tmp_path / "規程" / "旅費.md", "# 旅費")
    file = _listed(tmp_path)["規程/旅費.md"]
    assert file.size == len("# 旅費".encode())
    assert file.sha256 == hashlib.sha256("# 旅費".encode()).hexdigest()
    assert file.path.read_text(encoding="utf-8") == "# 旅費"


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
    _write(tmp_path / "ガイド.md", "y")
    assert len(_listed(tmp_path)) == 1
    assert "Unicode form" in caplog.text


def test_an_oversize_file_is_listed_but_not_read(tmp_path: Path) -> None:
    _write(tmp_path / "big.txt", "x" * 1001)
    before = _listed(tmp_path)["big.txt"]
    assert before.size == 1001
    assert before.sha256 != hashlib.sha256(b"x" * 1001).hexdigest()
    os.utime(tmp_path / "big.txt", ns=(1, 1))
    assert _listed(tmp_path)["big.txt"].sha256 != before.sha256


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
