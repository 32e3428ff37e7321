"""Folders of questions to be judged by."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from kiban.backends.evaluation_sets import texts
from kiban.errors import SettingsError


def test_lines_and_beir_are_read_packed_or_not(tmp_path: Path) -> None:
    (tmp_path / "asked.txt").write_text("寮費は？\n\n 日当は？ \n", "utf-8")
    (tmp_path / "queries.jsonl").write_text('{"_id": 1, "text": "家賃は？"}\n', "utf-8")
    (tmp_path / "queries.jsonl.gz").write_bytes(gzip.compress('{"text": "交通費は？"}'.encode()))
    (tmp_path / "corpus.jsonl").write_text("not looked at")
    assert texts(tmp_path) == ("寮費は？", "日当は？", "家賃は？", "交通費は？")


@pytest.mark.parametrize("line", ["{", '{"no": "text"}', "[]"])
def test_a_line_that_cannot_be_read_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").write_text(f'{{"text": "家賃は？"}}\n{line}\n')
    with pytest.raises(SettingsError, match=r"queries\.jsonl, line 2"):
        texts(tmp_path)


def test_a_folder_without_questions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="holds no questions"):
        texts(tmp_path)
    with pytest.raises(SettingsError):
        texts(tmp_path / "nowhere")
