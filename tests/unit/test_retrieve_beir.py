"""Folders in BEIR layout are read as they are found in the wild."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kiban.bench import beir
from kiban.domain.access import NOBODY
from kiban.errors import SettingsError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    corpus = [{"_id": "d1", "title": "旅費", "text": "宿泊費は一万円。"}, {"_id": "d2", "text": "No title."}]
    queries = [{"_id": f"q{n}", "text": f"question {n}"} for n in range(5)]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(lines + "\n\n", encoding="utf-8")
    graded = [
        "query-id\tcorpus-id\tscore",
        "q0\td1\t2",
        "q0\td2\t1",
        "q1\td1\t0",
        "q2\td2\t1",
        "q3\td1\t1",
        "",
    ]
    (tmp_path / "qrels.tsv").write_text("\n".join(graded))
    return tmp_path


def test_a_title_may_be_missing(folder: Path) -> None:
    found = list(beir.documents(folder, NOBODY))
    assert [(file.uri, parsed.title, parsed.text) for file, parsed in found] == [
        ("d1", "旅費", "宿泊費は一万円。"),
        ("d2", "", "No title."),
    ]


def test_only_questions_with_an_answer_are_asked(folder: Path) -> None:
    asked = beir.questions(folder)
    assert [question.id for question in asked] == ["q0", "q2", "q3"]
    assert asked[0].relevant == {"d1": 2.0, "d2": 1.0}


def test_a_sample_is_the_same_for_the_same_seed(folder: Path) -> None:
    assert beir.questions(folder, 2, seed=1) == beir.questions(folder, 2, seed=1)
    assert len(beir.questions(folder, 2)) == 2
    assert len(beir.questions(folder, 99)) == 3


def test_grades_may_lie_in_a_folder_of_splits(folder: Path) -> None:
    (folder / "qrels").mkdir()
    (folder / "qrels.tsv").rename(folder / "qrels" / "test.tsv")
    assert len(beir.questions(folder)) == 3


@pytest.mark.parametrize("missing", ["corpus.jsonl", "queries.jsonl", "qrels.tsv"])
def test_a_folder_in_another_layout_is_refused_by_name(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(SettingsError, match=missing):
        list(beir.documents(folder, NOBODY))
        beir.questions(folder)
