"""`kiban bench questions`: how hard each kind of question is to find the passage of."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer
from rich.console import Console
from rich.table import Table

from kiban.cli.output import Json, progress


def questions(as_json: Json = False) -> None:
    """Ask about all that everyone may read, in four ways, with the writer of the settings."""
    from kiban.bench import asking
    from kiban.domain.access import ALL
    from kiban.wiring import house
    from kiban.wiring.asking import Asking

    with progress(quiet=as_json):
        writer = Asking(house().furniture, lambda question: (), ALL).writer()
        found = asking.measure(house(), writer)
    if as_json:
        told = {"writer": writer.author.name, "kinds": [asdict(one) for one in found]}
        typer.echo(json.dumps(told, indent=1))
        return
    shown = Table("kind", "asked", "nDCG@10", "first", "among ten", title=writer.author.name)
    for one in found:
        shown.add_row(
            one.kind,
            f"{one.written} of {one.facts}",
            f"{one.ndcg_at_10:.3f} [{one.low:.3f}, {one.high:.3f}]",
            f"{one.first:.0%}",
            f"{one.found:.0%}",
        )
    Console().print(shown)
