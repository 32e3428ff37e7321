"""`kiban bench attacks`: staged against ourselves, with the figure each must reach."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from kiban.cli.output import Json


def attacks(
    ids: Annotated[list[str] | None, typer.Argument(help="A1 D3 …, or a family: A; none: all.")] = None,
    scale: Annotated[float, typer.Option(help="Share of the full size: 1 is 20,000 documents.")] = 0.05,
    hashed: Annotated[bool, typer.Option("--hash", help="Embed without weights, for a quick look.")] = False,
    as_json: Json = False,
) -> None:
    """Stage attacks, each on a Postgres and in a folder of its own. Exit code 1 when one does not pass."""
    from kiban.bench.attacks import chosen, stage_all
    from kiban.bench.attacks.stage import Stage
    from kiban.wiring import house

    wanted, load, found = chosen(ids or ()), os.getloadavg()[0], []
    console = Console(stderr=True)
    with Stage(house().furniture, scale=scale, hashed=hashed) as stage:
        for figure in stage_all(wanted, stage):
            found.append(figure)
            console.print(f"{figure.id} {figure.what}: {figure.value}", markup=False, highlight=False)
    if as_json:
        told = {"figures": [asdict(figure) for figure in found], "scale": scale, "load_at_start": load}
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1))
    else:
        shown = Table("", "attack", "found", "aim", "trials", "passed", "note", title=f"scale {scale:g}")
        for one in found:
            passed = "–" if one.passed is None else "yes" if one.passed else "NO"
            shown.add_row(one.id, one.what, one.value, one.aim, f"{one.trials:,}", passed, one.note)
        Console().print(shown, markup=False)
    raise typer.Exit(0 if all(figure.passed is not False for figure in found) else 1)
