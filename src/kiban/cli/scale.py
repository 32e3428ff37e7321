"""`kiban bench scale`: how the index carries many chunks."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from kiban.cli.output import Json, bars


def scale(
    folders: Annotated[list[Path] | None, typer.Argument(help="BEIR layout; only for the first run.")] = None,
    chunks: Annotated[int, typer.Option(help="How many to store.")] = 100_000,
    questions: Annotated[int, typer.Option(help="How many to ask in each situation.")] = 20,
    memory: Annotated[int, typer.Option(help="MB for Postgres' buffers, and for building graphs.")] = 2048,
    against_default: Annotated[bool, typer.Option(help="Compare with one graph for all.")] = True,
    as_json: Json = False,
) -> None:
    """Store, index and search many chunks, on a Postgres of its own: real passages plus noise."""
    from kiban.bench.kept import KeptEmbedder
    from kiban.bench.scale import measure
    from kiban.bench.scale_material import gather
    from kiban.bench.throwaway import throwaway_postgres
    from kiban.wiring import house

    furniture = house().furniture
    cache = furniture.settings.state / "bench" / "scale"

    def embedder() -> KeptEmbedder:
        return KeptEmbedder(furniture.embedder(furniture.base_embedder), furniture.settings.state / "bench")

    with bars(quiet=as_json) as progress, throwaway_postgres(memory) as server:
        material = gather(folders or [], cache, furniture.tokenizer, embedder, progress=progress)
        figures = measure(
            server,
            material,
            chunks,
            graph_zone_chunks=furniture.settings.graph_zone_chunks,
            questions=questions,
            against_default=against_default,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(asdict(figures), ensure_ascii=False, indent=1))
        return
    shown = Table("way", "sees", "topic", "p50 ms", "p95 ms", "recall@10", "rows of 10")
    for cell in figures.cells:
        recall = "" if cell.recall_at_10 is None else f"{cell.recall_at_10:.3f}"
        shown.add_row(
            cell.way, cell.sees, cell.topic, f"{cell.p50_ms}", f"{cell.p95_ms}", recall, f"{cell.rows}"
        )
    Console().print(shown)
    Console().print({name: value for name, value in asdict(figures).items() if name != "cells"})
