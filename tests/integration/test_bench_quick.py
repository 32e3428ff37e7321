"""The quick bench measures the sets that are there, embeds a corpus once, and says why others are missing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.bench import quick, quick_report
from kiban.bench.kept import KeptEmbedder
from kiban.bench.quick import QuickRun, Row
from kiban.bench.server import Server
from kiban.ports import Vector
from kiban.testing import HashEmbedder, WordTokenizer

SHARED = ("libreoffice_help_ja/beir_index_ja", "libreoffice_help_ja/beir_index_en2ja")


class CountingEmbedder(HashEmbedder):
    """Counts the passages that are embedded."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def passages(self, texts: Sequence[str]) -> Sequence[Vector]:
        self.count += len(texts)
        return super().passages(texts)


def write_set(folder: Path) -> None:
    corpus = {"trip": "出張旅費の精算は翌月五日まで。", "pump": "The pump needs oil every week."}
    asked = {"q1": ("出張旅費の精算", "trip"), "q2": ("oil for the pump", "pump")}
    folder.mkdir(parents=True)
    for name, rows in (("corpus", corpus), ("queries", {id: text for id, (text, _) in asked.items()})):
        lines = [json.dumps({"_id": id, "title": "", "text": text}) for id, text in rows.items()]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    (folder / "qrels.tsv").write_text("".join(f"{id}\t{found}\t1\n" for id, (_, found) in asked.items()))


def test_two_sets_of_one_corpus_embed_it_once_and_are_told(
    tmp_path: Path, postgres_server: EmbeddedPostgres
) -> None:
    data, counting = tmp_path / "data", CountingEmbedder()
    for name in SHARED:
        write_set(data / name)
    on = Server(postgres_server.dsn("postgres"), postgres_server.passwords)
    sets = tuple(
        quick.qualities(
            data,
            on,
            WordTokenizer(),
            KeptEmbedder(counting, tmp_path / "kept"),
            limit=2,
            progress=lambda done, total, what: None,
        )
    )
    assert [one.folder for one in sets] == list(SHARED)
    assert counting.count == 2
    assert all(one.lanes["fused"].ndcg_at_10 == 1.0 for one in sets)
    rows = (*map(quick.quality_row, sets), *quick.absent(data, [one.folder for one in sets]))
    assert [row.met for row in rows] == [True, True, None, None]
    run = QuickRun("x86_64", 2, 0.1, 3.0, rows, sets)
    written = quick_report.keep(run, tmp_path / "out")
    assert [path.suffix for path in written] == [".json", ".md", ".png", ".png"]
    assert all(path.stat().st_size for path in written)
    assert json.loads(written[0].read_text())["rows"][0]["met"] is True
    assert "| aim | met / why not |" in written[1].read_text()


def test_an_aim_that_is_missed_or_not_measured_says_so(tmp_path: Path) -> None:
    rows = (Row("C9", "0.5", "≤ 0.02", False, "1 s over 2 s"), *quick.absent(None, quick.SETS[1:]))
    told = quick_report.markdown(QuickRun("x86_64", 2, 0.1, 3.0, rows, ()))
    assert "| not met: 1 s over 2 s |" in told
    assert "| not measured: no labelled data: kiban bench quick --data DIR |" in told
