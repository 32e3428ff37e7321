"""`kiban bench tools`: whether the model chooses rightly among tools of the asker's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table

from kiban.cli.output import Json

if TYPE_CHECKING:
    from kiban.bench.choosing import Chosen


def tools(as_json: Json = False) -> None:
    """Ask the model server of the settings forty questions with four tools on offer."""
    import asyncio

    from kiban.bench.choosing import QUESTIONS, choose
    from kiban.wiring import house
    from kiban.wiring.base import BASE_MODEL

    generator = house().furniture.base.generator
    needing = [one for one in QUESTIONS if one.tool]
    needless = [one for one in QUESTIONS if not one.tool]
    asked = {
        "a tool is needed": ("auto", needing),
        "none is needed": ("auto", needless),
        "a call is required": ("required", needing),
    }
    found = {what: asyncio.run(choose(generator, BASE_MODEL, *of)) for what, of in asked.items()}
    if as_json:
        typer.echo(json.dumps({what: _told(of) for what, of in found.items()}, indent=1))
        return
    shown = Table("", "questions", "chosen rightly", "and the arguments", "calls", "by the schema")
    for what, of in found.items():
        shown.add_row(what, *map(str, _told(of).values()))
    Console().print(shown)
    for one in (one for of in found.values() for one in of if not one.wholly):
        calls = "; ".join(f"{call.name} {call.arguments}" for call in one.calls) or "–"
        Console().print(f"{one.asked.question} → {calls}", markup=False, highlight=False)


def _told(chosen: Sequence[Chosen]) -> dict[str, int]:
    calling = [one for one in chosen if one.calls]
    return {
        "questions": len(chosen),
        "rightly": sum(one.rightly for one in chosen),
        "wholly": sum(one.wholly for one in chosen),
        "calls": len(calling),
        "valid": sum(one.valid for one in calling),
    }
