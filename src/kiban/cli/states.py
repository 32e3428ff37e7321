"""`kiban documents`: what is in which state, since when, and why."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from kiban.cli.output import Json, show
from kiban.domain.document import DocumentState
from kiban.errors import SettingsError

DELETED = "deleted"

documents = typer.Typer(help="Documents by state.", invoke_without_command=True)


@documents.callback()
def listed(
    context: typer.Context,
    state: Annotated[
        str | None, typer.Option(help="waiting, reading, ready, failed, dead, or deleted (tombstones).")
    ] = None,
    as_json: Json = False,
) -> None:
    """List documents with their state, since when, and why."""
    if context.invoked_subcommand:
        return
    from kiban.cli.stack import print_json

    found = _found(state)
    if as_json:
        print_json({"documents": found})
        return
    shown = Table("source", "document", "state", "since", "attempts", "next", "why")
    for one in found:
        shown.add_row(*(str(one[key] or "") for key in one))
    Console().print(shown, markup=False)


@documents.command()
def retry(
    uri: Annotated[str | None, typer.Argument(help="Which document.")] = None,
    dead: Annotated[bool, typer.Option("--dead", help="All dead ones.")] = False,
    as_json: Json = False,
) -> None:
    """Let a failed or dead document be read again at the next ingest."""
    from kiban.wiring import house

    if (uri is None) != dead:
        raise SettingsError("name one document, or say --dead.", mend="kiban documents --state dead")
    retried = house().documents.retry(uri)
    if uri and not retried:
        raise SettingsError(f"{uri} is neither failed nor dead.", mend="kiban documents --state failed")
    show({"retried": retried}, as_json=as_json, title="Documents")


def _found(state: str | None) -> list[dict[str, Any]]:
    from kiban.wiring import house

    if state == DELETED:
        stones = [asdict(stone) for stone in house().documents.tombstones()]
        return [_row(stone["source"], stone["uri"], DELETED, stone["at"], stone["why"]) for stone in stones]
    if state is not None and state not in list(DocumentState):
        raise SettingsError(f"no state {state}.", mend=f"choose from {', '.join(DocumentState)}, {DELETED}")
    return [
        _row(one.source, one.uri, one.state.value, one.since, one.reason, one.attempts, one.due)
        for one in house().documents.all()
        if state in (None, one.state)
    ]


def _row(
    source: str, uri: str, state: str, since: Any, why: str, attempts: int = 0, due: Any = None
) -> dict[str, Any]:
    told = due if state == DocumentState.FAILED else None
    return {
        "source": source,
        "uri": uri,
        "state": state,
        "since": f"{since:%F %T}",
        "attempts": attempts,
        "next": f"{told:%F %T}" if told else None,
        "why": why,
    }
