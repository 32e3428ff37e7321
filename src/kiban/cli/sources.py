"""`kiban sources`: where documents come from, and how each place stands."""

from __future__ import annotations

from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from kiban.cli.output import Json


def sources(as_json: Json = False) -> None:
    """Show every source with its documents by state, when it was last listed, and its last error."""
    from kiban.cli.stack import print_json
    from kiban.wiring import house

    found = house().documents.outlook()
    if as_json:
        rows = [{**asdict(one), "listed": one.listed and f"{one.listed:%F %T}"} for one in found]
        print_json({"sources": rows})
        return
    table = Table("source", "kind", "documents", "last listed", "cursor", "last error")
    for one in found:
        states = ", ".join(f"{count:,} {state}" for state, count in one.states.items())
        listed = f"{one.listed:%F %T}" if one.listed else "never"
        table.add_row(one.name, one.kind, states, listed, "yes" if one.cursor else "", one.last_error)
    Console().print(table, markup=False)
