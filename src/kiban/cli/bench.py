"""`kiban bench`: measured side by side, as ratios, on the running stack."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from kiban.cli.adapting import adapt, adapt_sets
from kiban.cli.asking import questions
from kiban.cli.attacks import attacks
from kiban.cli.chat_load import chat
from kiban.cli.choosing import tools
from kiban.cli.dating import dates
from kiban.cli.output import Json, bars
from kiban.cli.parsing import parse
from kiban.cli.peers import peers
from kiban.cli.policing import policy
from kiban.cli.quick import quick
from kiban.cli.scale import scale, width
from kiban.cli.secrets import secrets
from kiban.retrieve.rerank import Reranking

if TYPE_CHECKING:
    from kiban.wiring.furniture import Furniture

bench = typer.Typer(help="Measure.", invoke_without_command=True)
bench.command()(adapt)
bench.command()(adapt_sets)
bench.command()(attacks)
bench.command()(chat)
bench.command()(dates)
bench.command()(parse)
bench.command()(policy)
bench.command()(scale)
bench.command()(width)
bench.command()(peers)
bench.command()(quick)
bench.command()(secrets)
bench.command()(tools)
bench.command()(questions)


@bench.callback()
def ratios(context: typer.Context, as_json: Json = False) -> None:
    """Without a subcommand: what our service, our flows and our idempotency cost, on the running stack."""
    if context.invoked_subcommand:
        return
    from kiban.bench import ratios as sides
    from kiban.bench.server import Server
    from kiban.wiring import house

    furniture = house().furniture
    running = Server(furniture.roles.admin, furniture.roles.passwords)
    load = os.getloadavg()[0]
    found = [
        sides.first_text(house(), "tanaka"),
        sides.unchanged(furniture, furniture.settings.documents, running),
        sides.orchestration(house()),
    ]
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "load_at_start": load}
    if as_json:
        typer.echo(json.dumps({"ratios": [asdict(one) for one in found], **machine}, indent=1))
        return
    shown = Table("ratio", "median", "quartiles", "ours s", "other s", "rounds", title=f"load {load:.1f}")
    for one in found:
        quartiles = f"{one.low:.3f} to {one.high:.3f}"
        shown.add_row(
            one.name, f"{one.ratio:.3f}", quartiles, f"{one.ours:.3f}", f"{one.other:.3f}", str(one.rounds)
        )
    Console().print(shown)


@bench.command()
def retrieval(
    folder: Annotated[Path, typer.Argument(help="corpus.jsonl, queries.jsonl, qrels.tsv")],
    limit: Annotated[int | None, typer.Option(help="Ask at most so many questions, drawn by a seed.")] = None,
    lanes: Annotated[str, typer.Option(help="Which, with commas between; without it, every one.")] = "",
    generation: Annotated[
        str | None,
        typer.Option(help="Use the embedder of this index generation: its number or its embedder."),
    ] = None,
    embedder: Annotated[str | None, typer.Option(help="A known name, a folder or a hub id.")] = None,
    read: Annotated[
        int | None, typer.Option(help="Passages the reranker reads; without it, what rerank_ms allows here.")
    ] = None,
    weight: Annotated[float | None, typer.Option(help="Of the reranker's score, 0 to 1.")] = None,
    as_json: Json = False,
) -> None:
    """nDCG, recall, MRR and milliseconds of each lane, on any folder in BEIR layout.

    Intervals are 95 % bootstrap intervals over the questions; between two lanes they are paired.
    """
    from kiban.bench import retrieval as finding
    from kiban.bench.server import server
    from kiban.wiring import house

    furniture = house().furniture
    chosen = [lane.strip() for lane in lanes.split(",") if lane.strip()]
    with bars(quiet=as_json) as progress, server(furniture) as postgres:
        figures = finding.measure(
            folder,
            admin_dsn=postgres.admin,
            passwords=postgres.passwords,
            tokenizer=furniture.tokenizer,
            embedder=furniture.embedder(house().generations.weights(generation, embedder)),
            lanes=chosen,
            reranking=_reranking(furniture, read, weight),
            limit=limit,
            exact_limit=furniture.settings.exact_lane_limit,
            graph_zone_chunks=furniture.settings.graph_zone_chunks,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(asdict(figures), ensure_ascii=False, indent=1))
    else:
        Console().print(finding.table(figures), markup=False, highlight=False)


def _reranking(furniture: Furniture, read: int | None, weight: float | None) -> Reranking | None:
    """Return the reranker of the settings, reading and counting as much as was asked for."""
    from kiban.backends.cross_encoder import CrossEncoderReranker

    if furniture.base_reranker is None:
        return None
    if read is None:
        found = furniture.reranking()
    else:
        found = Reranking(CrossEncoderReranker(furniture.base_reranker.path, furniture.device), read)
    return found if found is None or weight is None else replace(found, weight=weight)


@bench.command()
def cloud_requests(as_json: Json = False) -> None:
    """Requests that the sources in clouds need for a thousand things, against local servers."""
    from kiban.bench.cloud_requests import count

    found = list(count())
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=1))
        return
    shown = Table("source", "first", "again", "a document", "memberships", "documents", "seconds")
    for one in found:
        numbers = (one.first, one.again, one.fetch, one.memberships, one.documents, round(one.seconds, 1))
        shown.add_row(one.source, *map(str, numbers))
    Console().print(shown)
