"""Folders in BEIR layout are read as they are found in the wild."""

from __future__ import annotations

import gzip
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


def test_folders_in_the_wild_are_read(tmp_path: Path) -> None:
    """Gzipped, without a header, ids that are numbers or odd, a question that is nowhere judged."""
    corpus = [
        {"_id": 7, "title": None, "text": "a"},
        {"_id": "社内/規程 1.md", "title": "only a title", "text": ""},
        {"_id": "x\u0000y", "text": "half \ud83d a character", "metadata": {}},
        {"_id": 7, "text": "the same id once more"},
        {"_id": "huge", "text": "長い文。" * 50_000},
    ]
    write(tmp_path / "corpus.jsonl.gz", corpus)
    write(
        tmp_path / "queries.jsonl.gz",
        [{"_id": 1, "text": "a?"}, {"_id": 2, "text": "b?"}, {"_id": 3, "text": "c?"}],
    )
    (tmp_path / "qrels").mkdir()
    with gzip.open(tmp_path / "qrels" / "test.tsv.gz", "wt", encoding="utf-8") as lines:
        lines.write("1\t7\t1\r\n2\t社内/規程 1.md\t2\r\n9\tnowhere\t1\r\n")

    found = {file.uri: parsed for file, parsed in beir.documents(tmp_path, NOBODY)}
    assert list(found) == ["7", "社内/規程 1.md", "x\ufffdy", "huge"]
    assert found["7"].text == "a"
    assert found["社内/規程 1.md"].text == "only a title"
    assert found["x\ufffdy"].text == "half \ufffd a character"
    assert [(q.id, q.relevant) for q in beir.questions(tmp_path)] == [
        ("1", {"7": 1.0}),
        ("2", {"社内/規程 1.md": 2.0}),
    ]


def test_trec_s_four_columns_are_understood(folder: Path) -> None:
    (folder / "qrels.tsv").write_text("q0 0 d1 1\nq2 0 d2 1\n")
    assert [question.relevant for question in beir.questions(folder)] == [{"d1": 1.0}, {"d2": 1.0}]


@pytest.mark.parametrize("broken", ["q0\td1\tvery", "q0\td1\n\nq1", "q0\td9\t0"])
def test_qrels_that_say_nothing_are_refused(folder: Path, broken: str) -> None:
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + broken)
    with pytest.raises(SettingsError):
        beir.questions(folder)


def test_a_line_that_is_no_json_is_named(folder: Path) -> None:
    (folder / "corpus.jsonl").write_text('{"_id": "d1", "text": "a"}\n{"_id": ')
    with pytest.raises(SettingsError, match="corpus"):
        list(beir.documents(folder, NOBODY))


def write(path: Path, rows: list[dict[str, object]]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize("missing", ["corpus.jsonl", "queries.jsonl", "qrels.tsv"])
def test_a_folder_in_another_layout_is_refused_by_name(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(SettingsError, match=missing):
        list(beir.documents(folder, NOBODY))
        beir.questions(folder)
