"""`kiban bench dates`: whether to understand the dates in questions, and how."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from kiban.cli.output import Json, bars


def dates(
    data: Annotated[Path, typer.Option(help="Folder of the two handbooks and of JSQuAD.")],
    as_json: Json = False,
) -> None:
    """nDCG@10 of questions with dates: not read, filtered by, or preferred, on a Postgres of its own."""
    from kiban.bench import dating
    from kiban.bench.kept import KeptEmbedder
    from kiban.bench.server import server
    from kiban.wiring import house

    furniture = house().furniture
    kept = KeptEmbedder(furniture.embedder(furniture.base_embedder), furniture.settings.state / "bench")
    with bars(quiet=as_json) as progress, server(furniture) as postgres:
        found = list(dating.measure(data, postgres, furniture.tokenizer, kept, progress))
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], ensure_ascii=False, indent=1))
        return
    shown = Table("set", "dates are", "touched", "nDCG@10", "− not read, 95 %", "lost")
    for one in found:
        between = f"{one.difference:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"
        touched = f"{one.touched} of {one.questions}"
        shown.add_row(one.set, one.way, touched, f"{one.ndcg_at_10:.3f}", between, str(one.lost))
    Console().print(shown)
