"""`kiban bench scale`: how the index carries many chunks."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from kiban.cli.output import Json, bars
from kiban.errors import SettingsError
from kiban.ports import Progress

if TYPE_CHECKING:
    from kiban.bench.scale_material import Material


def scale(
    folders: Annotated[list[Path] | None, typer.Argument(help="BEIR layout; only for the first run.")] = None,
    chunks: Annotated[int, typer.Option(help="How many to store.")] = 100_000,
    questions: Annotated[int, typer.Option(help="How many to ask in each situation.")] = 20,
    memory: Annotated[int, typer.Option(help="MB for Postgres' buffers, and for building graphs.")] = 2048,
    against_default: Annotated[bool, typer.Option(help="Compare with one graph for all.")] = True,
    as_json: Json = False,
) -> None:
    """Store, index and search many chunks, on a Postgres of its own: real passages plus noise."""
    from kiban.bench.scale import measure
    from kiban.bench.throwaway import throwaway_postgres
    from kiban.wiring import house

    with bars(quiet=as_json) as progress, throwaway_postgres(memory) as server:
        figures = measure(
            server,
            _material(folders, progress),
            chunks,
            graph_zone_chunks=house().furniture.settings.graph_zone_chunks,
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


def width(
    folders: Annotated[list[Path] | None, typer.Argument(help="BEIR layout; only for the first run.")] = None,
    sizes: Annotated[str, typer.Option(help="Chunks in a graph, with commas between.")] = "25000,100000",
    questions: Annotated[int, typer.Option(help="How many to ask of each graph and width.")] = 100,
    memory: Annotated[int, typer.Option(help="MB for Postgres' buffers, and for building graphs.")] = 2048,
    as_json: Json = False,
) -> None:
    """Recall and time by how much of a graph a walk keeps in view, on a Postgres of its own."""
    from kiban.bench import width as widths
    from kiban.bench.throwaway import throwaway_postgres

    with bars(quiet=as_json) as progress, throwaway_postgres(memory) as server:
        found = list(
            widths.measure(server, _material(folders, progress), _numbers(sizes), questions, progress)
        )
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=1))
        return
    shown = Table("chunks", "width", "recall@10", "recall@100", "worst@10", "p50 ms", "p95 ms")
    for one in found:
        recalls = (f"{value:.3f}" for value in (one.recall_at_10, one.recall_at_100, one.worst_at_10))
        seen = str(one.width) if one.width else "all compared"
        shown.add_row(f"{one.chunks:,}", seen, *recalls, f"{one.p50_ms}", f"{one.p95_ms}")
    Console().print(shown)
    last = found[-1]
    Console().print(
        f"{last.questions} questions; the last graph built in {last.build_seconds} s; load {last.load}"
    )


def _numbers(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError as error:
        raise SettingsError(f"{text}: numbers with commas between are needed.") from error


def _material(folders: list[Path] | None, progress: Progress) -> Material:
    """Return real passages, embedded now or in a run before."""
    from kiban.bench.kept import KeptEmbedder
    from kiban.bench.scale_material import gather
    from kiban.wiring import house

    furniture = house().furniture
    kept = furniture.settings.state / "bench"

    def embedder() -> KeptEmbedder:
        return KeptEmbedder(furniture.embedder(furniture.base_embedder), kept)

    return gather(folders or [], kept / "scale", furniture.tokenizer, embedder, progress=progress)
