"""How the command line shows things: a table for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

Advance = Callable[[int, int, str], None]  # done, total, what
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def show(values: Mapping[str, Any], *, as_json: bool, title: str) -> None:
    """Print one thing: its fields as rows, or as JSON."""
    if as_json:
        typer.echo(json.dumps(values, ensure_ascii=False, indent=1, default=str))
        return
    table = Table(title=title, show_header=False)
    for name, value in values.items():
        table.add_row(name.replace("_", " "), _words(value))
    Console().print(table)


def _words(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return (
            "\n".join(" — ".join(map(str, v)) if isinstance(v, (list, tuple)) else str(v) for v in value)
            or "none"
        )
    return f"{value:.2f}" if isinstance(value, float) else str(value)


@contextmanager
def bars(*, quiet: bool) -> Iterator[Advance]:
    """Give a function that shows every stage of some work as a bar with an ETA."""
    shown = Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        disable=quiet,
    )
    tasks: dict[str, TaskID] = {}

    def advance(done: int, total: int, what: str) -> None:
        if what not in tasks:
            tasks[what] = shown.add_task(what, total=total)
        shown.update(tasks[what], completed=done, total=total)

    with shown:
        yield advance


@contextmanager
def progress(*, quiet: bool) -> Iterator[None]:
    """Show the house's work as bars."""
    from kiban.wiring import house

    # Libraries print; what a program reads must be JSON alone.
    aside = redirect_stdout(sys.stderr) if quiet else nullcontext()
    with aside, bars(quiet=quiet) as advance:
        before, house().furniture.progress = house().furniture.progress, advance
        try:
            yield
        finally:
            house().furniture.progress = before
