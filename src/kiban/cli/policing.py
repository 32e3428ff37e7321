"""`kiban bench policy`: how often a policy stands in the way of ordinary work."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from kiban.cli.output import Json


def policy(
    folders: Annotated[list[Path], typer.Argument(help="Folders in BEIR layout, of ordinary questions.")],
    file: Annotated[Path | None, typer.Option("--policy", help="Another than the settings' own.")] = None,
    limit: Annotated[int, typer.Option(help="Questions, and passages, of each at most.")] = 5000,
    as_json: Json = False,
) -> None:
    """Count what a policy would refuse of ordinary questions, and of passages as if they were answers."""
    from kiban.bench.policing import measure
    from kiban.settings import load
    from kiban.wiring.furniture import Furniture
    from kiban.wiring.policy import Policing

    settings = load() if file is None else load().model_copy(update={"policy": file})
    found = list(measure(Policing(Furniture(settings)), folders, limit))
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], ensure_ascii=False, indent=1))
        return
    shown = Table("folder", "texts", "refused", "at most", "by rule", "word anywhere", "veiled", "ms a text")
    for one in found:
        rules = ", ".join(f"{name} {count}" for name, count in one.refused.items()) or "–"
        cells = (
            f"{one.share:.2%}",
            f"{one.at_most:.2%}",
            rules,
            str(one.anywhere),
            str(one.veiled),
            f"{one.milliseconds:.2f}",
        )
        shown.add_row(one.folder, f"{one.texts:,} {one.what}", *cells)
    Console().print(shown, markup=False)
    for example in (example for one in found for example in one.examples):
        Console().print(example, markup=False, highlight=False)
