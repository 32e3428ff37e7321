"""`kiban directories`: who is in which group, asked now."""

from __future__ import annotations

from dataclasses import asdict

import typer
from rich.console import Console
from rich.table import Table

from kiban.cli.output import Json


def directories(as_json: Json = False) -> None:
    """Follow every directory of the settings now, and show how it ended. Exit code 1 when one failed."""
    from kiban.cli.stack import print_json
    from kiban.wiring import house

    found = house().directories.follow_now()
    if as_json:
        print_json({"directories": [{**asdict(one), "error": str(one.error or "")} for one in found]})
    else:
        table = Table("directory", "people", "groups", "seconds", "error")
        for one in found:
            counts = f"{one.people:,}", f"{one.groups:,}", f"{one.seconds:.1f}"
            table.add_row(one.name, *counts, str(one.error or ""))
        Console().print(table, markup=False)
    raise typer.Exit(1 if any(one.error for one in found) else 0)
