"""The measurements that need the whole stack, on a corpus small enough to see through."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from running import Stack

pytestmark = pytest.mark.timeout(900)

PARTS = ("pump", "valve", "dryer", "mixer", "press", "lathe", "crane", "boiler", "fan", "sensor")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give ten documents, each with two facts, and a question about each fact, in BEIR layout."""
    made = tmp_path_factory.mktemp("machines")
    corpus, queries, qrels = [], [], ["query-id\tcorpus-id\tscore"]
    for number, part in enumerate(PARTS):
        text = (
            f"The oil of the {part} is changed every {200 + 10 * number} hours. "
            f"{part}の点検は毎月{number + 5}日に行う。"
        )
        corpus.append({"_id": part, "title": f"{part} manual", "text": text})
        for language, asked, answer in (
            ("en", f"How often is the oil of the {part} changed?", f"{200 + 10 * number} hours"),
            ("ja", f"{part}の点検は毎月何日ですか。", f"{number + 5}日"),
        ):
            queries.append({"_id": f"{part}-{language}", "text": asked, "answers": [answer]})
            qrels.append(f"{part}-{language}\t{part}\t1")
    for name, rows in (("corpus", corpus), ("queries", queries)):
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (made / f"{name}.jsonl").write_text("\n".join(lines), "utf-8")
    (made / "qrels.tsv").write_text("\n".join(qrels), "utf-8")
    return made


def test_what_is_learnt_from_one_folder_is_judged_on_another(stack: Stack, folder: Path) -> None:
    figures = stack.kiban(
        "bench", "adapt", "--train", str(folder), "--eval", str(folder), "--outside", str(folder),
        "--learnt", "8", "--pairs", "12", "--judged", "8", "--ranked", "12",
    )  # fmt: skip
    assert set(figures["arms"]) == {"base", "base+RAG", "adapted", "adapted+RAG"}
    for means in figures["arms"].values():
        assert all(one["low"] <= one["mean"] <= one["high"] for one in means.values())
        assert means["correct"]["questions"] == 6 and means["abstained"]["questions"] == 2
    assert figures["embedder"]["questions"] == figures["outside"]["questions"] == 12
    assert figures["outcome"] in {"pass", "fail", "cannot tell"}
    assert figures["reasons"] and figures["seconds"]["train adapter"] > 0
