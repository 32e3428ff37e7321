"""The scale bench fills, searches in each way, and finds what it should."""

from __future__ import annotations

import numpy as np
import pytest

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.backends.postgres.connect import Postgres
from kiban.bench import scale
from kiban.bench.scale_material import TOPICS, Material


def test_every_way_is_measured_on_the_same_chunks(
    postgres_server: EmbeddedPostgres, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale, "MEASURED", 300)  # the other half is stored the fast way
    chance = np.random.default_rng(1)
    vectors = chance.standard_normal((TOPICS * 3, 16), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    topics = np.arange(TOPICS * 3) % TOPICS
    terms = [[f"term{n % 7}", f"topic{n % TOPICS}", f"term{n % 11}", "common"] for n in range(TOPICS * 3)]
    material = Material(terms, vectors, topics, terms, vectors, topics)
    figures = scale.measure(
        postgres_server,
        material,
        600,
        graph_zone_chunks=100,
        questions=3,
        progress=lambda done, total, what: None,
    )
    exact = [cell for cell in figures.cells if cell.way.startswith("exact")]
    assert {cell.sees for cell in exact} == {"1 %", "10 %", "50 %", "100 %"}
    assert all(cell.recall_at_10 == 1.0 for cell in exact)
    assert all(cell.rows == 10 for cell in figures.cells if cell.way == "graphs" and cell.sees != "1 %")
    assert {cell.topic for cell in exact} == {"own", "foreign"}
    assert figures.graphs == 2 and figures.megabytes["posting"] > 0
