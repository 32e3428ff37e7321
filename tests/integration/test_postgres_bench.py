"""The retrieval bench measures what is there and leaves nothing behind."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.bench.retrieval import measure, table
from kiban.errors import SettingsError
from kiban.retrieve.rerank import Reranking
from kiban.testing import HashEmbedder, OverlapReranker, WordTokenizer

Admin = psycopg.Connection[tuple[Any, ...]]

CORPUS = {
    "trip": "出張旅費の精算は翌月五日まで。",
    "leave": "年次有給休暇は二十日。",
    "pump": "The pump P-100 needs oil every week.",
    "empty": "",
}
ASKED = {"q1": ("出張旅費の精算", "trip"), "q2": ("有給休暇", "leave"), "q3": ("oil for the pump", "pump")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    corpus = [json.dumps({"_id": id, "title": "", "text": text}) for id, text in CORPUS.items()]
    queries = [json.dumps({"_id": id, "text": text}) for id, (text, _) in ASKED.items()]
    qrels = [f"{id}\t{document}\t1" for id, (_, document) in ASKED.items()]
    (tmp_path / "corpus.jsonl").write_text("\n".join(corpus))
    (tmp_path / "queries.jsonl").write_text("\n".join(queries))
    (tmp_path / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *qrels]))
    return tmp_path


def test_every_lane_is_measured_and_the_database_is_gone(
    folder: Path, postgres_server: EmbeddedPostgres, admin: Admin
) -> None:
    seen: list[tuple[int, int, str]] = []
    figures = measure(
        folder,
        admin_dsn=postgres_server.dsn("postgres"),
        passwords=postgres_server.passwords,
        tokenizer=WordTokenizer(),
        embedder=HashEmbedder(),
        progress=lambda *step: seen.append(step),
    )
    assert (figures.documents, figures.chunks, figures.questions) == (3, 3, 3)
    for lane in figures.lanes.values():
        assert lane.ndcg_at_10 == lane.recall_at_10 == lane.recall_at_50 == lane.mrr_at_10 == 1.0
        assert 0 < lane.p50_ms <= lane.p95_ms
    assert list(figures.lanes) == ["dense", "lexical", "fused"]
    assert all(name in table(figures) for name in figures.lanes)
    assert seen[0] == (4, 4, "documents")
    assert [(one.lane, one.other) for one in figures.differences] == [
        ("lexical", "dense"),
        ("fused", "dense"),
        ("fused", "lexical"),
    ]
    assert all(one.low <= one.difference <= one.high for one in figures.differences)
    left = admin.execute("select datname from pg_database where datname like 'kiban\\_scratch%'").fetchall()
    assert left == []


def test_a_reranker_adds_a_lane_and_unknown_lanes_are_refused(
    folder: Path, postgres_server: EmbeddedPostgres
) -> None:
    def lanes(*names: str, reranking: Reranking | None = None) -> list[str]:
        figures = measure(
            folder,
            admin_dsn=postgres_server.dsn("postgres"),
            passwords=postgres_server.passwords,
            tokenizer=WordTokenizer(),
            embedder=HashEmbedder(),
            lanes=names,
            reranking=reranking,
        )
        assert json.loads(json.dumps(asdict(figures)))["differences"] is not None
        return list(figures.lanes)

    assert lanes("lexical", "reranked", reranking=Reranking(OverlapReranker(), 10)) == ["lexical", "reranked"]
    with pytest.raises(SettingsError, match="reranked"):
        lanes("reranked")
