"""`kiban bench parse` on folders nobody has prepared."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import files
import pytest
from typer.testing import CliRunner

from kiban.bench.parsed import Golds, recall_of
from kiban.bench.parsing import measure
from kiban.bench.peer_parsers import run_peers
from kiban.cli import app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    (made / "深い" / "folder").mkdir(parents=True)
    (made / "規程.docx").write_bytes(files.word())
    (made / "深い" / "folder" / "手順.PDF").write_bytes(files.pdf([["点検の手順"], ["電源を切る。"]]))
    (made / "empty.txt").write_bytes(b"")
    (made / "what.xyz").write_bytes(b"?")
    (made / "no-ending").write_bytes(b"\0\1\2")
    Path(os.fsdecode(bytes(made) + b"/\xff\xfe.txt")).write_text("名前が壊れた文書。")
    (made / "link.txt").symlink_to("/etc/hostname")
    (made / "loop").symlink_to(made)
    os.mkfifo(made / "pipe.txt")
    return made


def test_any_folder_is_told_file_by_file(folder: Path) -> None:
    found = measure(folder, progress=lambda done, total, what: None)
    assert (found.files, found.parsed, found.pages) == (6, 3, 4)
    assert found.failures == {
        "EmptyFile: 0 bytes": 1,
        "UnsupportedFormat: ending .xyz": 1,
        "UnsupportedFormat: ending (none)": 1,
    }
    assert found.formats[".pdf"].pages == 2 and found.formats[".docx"].parsed == 1
    assert found.raw is not None and found.raw.files == 1 and found.raw.ratio > 0
    assert found.worker_peak_mb > 1 and found.cpu_seconds > 0 and "limits" in found.defences
    assert {name for name, _ in found.slowest} <= {name for name, _ in found.failed} | {
        "規程.docx",
        "深い/folder/手順.PDF",
        "\ufffd\ufffd.txt",
    }


def test_recall_counts_words_and_pairs_of_japanese(folder: Path, tmp_path: Path) -> None:
    gold = tmp_path / "gold"
    gold.mkdir()
    (gold / "規程.docx.md").write_text("# 旅費規程\n\n| 等級 | 日当 |\n|--|--|\n| 部長 | 3000円 |\n")
    (gold / "手順.md").write_text("点検の手順。電源を切る。書かれていないこと。")
    found = measure(folder, gold=gold, progress=lambda done, total, what: None)
    assert found.recalls["規程.docx"] == 1.0
    assert 0 < found.recalls["深い/folder/手順.PDF"] < 1
    assert found.gold_files == 2


def test_recall_of_text() -> None:
    assert recall_of("a b b", "b b c") == pytest.approx(2 / 3)
    assert recall_of("**旅費**は[実費](http://x)", "旅費は、実費とする") == pytest.approx(
        2 / 3
    )  # は実 is cut
    assert recall_of("!", "a") is None


def test_a_peer_that_is_not_installed_says_so(folder: Path) -> None:
    peers = run_peers(Path(sys.executable), sorted(folder.glob("*.docx")), Golds(None))
    assert [(peer.name, peer.version, peer.parsed) for peer in peers] == [
        ("markitdown", "", 0),
        ("docling", "", 0),
        ("docling native", "", 0),
    ]


@pytest.mark.parametrize("flags", [["--json"], []])
def test_the_command_prints_json_or_a_table(folder: Path, flags: list[str]) -> None:
    told = CliRunner().invoke(app, ["bench", "parse", str(folder), *flags])
    assert told.exit_code == 0, told.output
    if flags:
        assert json.loads(told.stdout)["files"] == 6
    else:
        assert "3 of 6 files" in told.stdout


def test_an_empty_folder_has_nothing_to_tell(tmp_path: Path) -> None:
    found = measure(tmp_path, progress=lambda done, total, what: None)
    assert (found.files, found.pages, found.raw, found.recall) == (0, 0, None, None)
