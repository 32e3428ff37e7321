"""The scale bench fills, searches in each way, and finds what it should."""

from __future__ import annotations

import numpy as np
import pytest

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.search import NARROWEST, WIDEST, width
from kiban.bench import scale
from kiban.bench import width as widths
from kiban.bench.scale_material import TOPICS, Material
from kiban.bench.throwaway import throwaway_postgres


def made_up() -> Material:
    chance = np.random.default_rng(1)
    vectors = chance.standard_normal((TOPICS * 3, 16), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    topics = np.arange(TOPICS * 3) % TOPICS
    terms = [[f"term{n % 7}", f"topic{n % TOPICS}", f"term{n % 11}", "common"] for n in range(TOPICS * 3)]
    return Material(terms, vectors, topics, terms, vectors, topics)


def test_every_way_is_measured_on_the_same_chunks(
    postgres_server: EmbeddedPostgres, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale, "MEASURED", 300)  # the other half is stored the fast way
    figures = scale.measure(
        postgres_server,
        made_up(),
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


def test_a_walk_that_keeps_more_in_view_finds_more() -> None:
    with throwaway_postgres() as server:
        found = list(widths.measure(server, made_up(), [400, 4000], 10, lambda done, total, what: None))
    compared, *walks = [one for one in found if one.chunks == 4000]
    assert compared.width == 0 and compared.recall_at_100 > 0.98  # but for what halves cannot tell apart
    assert [one.width for one in walks] == [*widths.WIDTHS, *widths.FARTHER]
    assert walks[0].recall_at_100 <= walks[-1].recall_at_100 and walks[-1].recall_at_100 > 0.98


def test_a_larger_graph_is_walked_more_widely() -> None:
    widest = [width(chunks) for chunks in (0, 10_000, 25_000, 50_000, 100_000, 200_000, 10**6)]
    assert widest == sorted(widest)
    assert (widest[2], widest[-1]) == (NARROWEST, WIDEST) and widest[2] < widest[3] < widest[4] < WIDEST
