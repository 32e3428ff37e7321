"""`kiban drift`: what changed behind the release in force."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from kiban.cli.output import Json, progress
from kiban.domain.drift import Night


def drift(
    now: Annotated[bool, typer.Option("--now", help="Ask the frozen questions now.")] = False,
    freeze: Annotated[
        bool, typer.Option("--freeze", help="Accept things as they are: forget questions and answers.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what changed, night by night, although nothing was released: model, retrieval or judge.

    On its first night a release is asked the frozen questions and its answers are kept; from then on every
    night is compared with that one. Exit code 1 when the newest night is an alarm.
    """
    from kiban.wiring import house

    if freeze:
        house().nights.forget()
    if now or freeze:
        from flows.nightly import examine

        with progress(quiet=as_json):
            examine.fn()
    nights = house().nights.all()
    if as_json:
        typer.echo(json.dumps([asdict(night) for night in nights], ensure_ascii=False, indent=1, default=str))
    elif not nights:
        Console().print("No night was compared yet. Mend: kiban drift --now, twice")
    else:
        _print(nights)
    raise typer.Exit(1 if nights and nights[-1].drifts else 0)


def _print(nights: list[Night]) -> None:
    from kiban.judge import phrases
    from kiban.wiring import house

    table = Table("night", "release", "drift", "measure", "first", "then", "changed", "p", title="Drift")
    for night in nights[-7:]:
        when = night.at.astimezone().strftime("%Y-%m-%d %H:%M")
        for shift in night.shifts:
            levels = (phrases.level(shift.measure, value) for value in (shift.old, shift.new))
            alarm = " ALARM" if shift.alarm else ""
            changed = f"{shift.changed}/{shift.questions}"
            table.add_row(
                when, night.release_id, f"{shift.drift}{alarm}", shift.measure, *levels, changed,
                f"{shift.adjusted_p:.3f}",
            )  # fmt: skip
    Console().print(table)
    Console().print(f"Chart: {house().nights.page()}", highlight=False)
