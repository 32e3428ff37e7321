"""`kiban records`: what was answered, for auditors."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from kiban.cli.output import Json, show
from kiban.errors import RecordBroken, SettingsError

records = typer.Typer(help="What was answered: who asked and what, as keyed hashes.", no_args_is_help=True)


@records.command()
def verify(as_json: Json = False) -> None:
    """Check that every line is as it was written. Exit code 1 when one is not."""
    from kiban.wiring import house

    first = house().records.verify()
    if first is not None:
        raise RecordBroken(f"line {first}")
    show({"intact": True}, as_json=as_json, title="Records")


@records.command()
def export(
    file: Annotated[Path, typer.Argument(help="A file to write, one JSON object a line.")],
    of: Annotated[str | None, typer.Option(help="Only what this person asked.")] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Only from this day on.", formats=["%Y-%m-%d"])
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the lines to a file, oldest first."""
    from kiban.wiring import house

    lines = 0
    moment = since.replace(tzinfo=UTC) if since else None
    if file.exists():
        raise SettingsError(f"{file} is there already.", mend="name a file that is not")
    with file.open("x", encoding="utf-8") as out:
        for record in house().records.kept(of, moment):
            told = {**asdict(record), "at": record.at.isoformat()}
            print(json.dumps(told, ensure_ascii=False), file=out)
            lines += 1
    show({"lines": lines, "file": str(file)}, as_json=as_json, title="Records")
