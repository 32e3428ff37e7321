"""`kiban tokens`: what programs come in with."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from kiban.cli.output import Json, show
from kiban.domain.credentials import IssuedToken

tokens = typer.Typer(help="Service tokens: what each allows, and an end to it.", no_args_is_help=True)


@tokens.command()
def add(
    who: Annotated[str, typer.Option("--as", help="As whom it calls: a person, or a service of yours.")],
    scope: Annotated[list[str], typer.Option(help="ask search feedback curate operate audit; repeat it.")],
    days: Annotated[float, typer.Option(help="How long it is good for.", min=0.001, max=3660)] = 90,
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    as_json: Json = False,
) -> None:
    """Issue a token. It is shown once; only its hash is kept."""
    from kiban.wiring import house

    token = house().identity.issue(who, scope, days, note)
    if as_json:
        show({"token": token}, as_json=True, title="Tokens")
    else:
        typer.echo(token)


@tokens.command("list")
def listed(as_json: Json = False) -> None:
    """Show every token, in force or not."""
    from kiban.wiring import house

    found = house().identity.tokens()
    if as_json:
        told = [{**asdict(one), "scopes": sorted(one.scopes or ())} for one in found]
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1, default=str))
        return
    shown = Table("id", "as", "scopes", "expires", "state", "note")
    for one in found:
        scopes = " ".join(sorted(one.scopes or ()))
        shown.add_row(one.id, one.subject, scopes, f"{one.expires:%Y-%m-%d %H:%M}", _state(one), one.note)
    Console().print(shown)


@tokens.command()
def revoke(
    id: Annotated[str, typer.Argument(help="As `kiban tokens list` shows it.")], as_json: Json = False
) -> None:
    """End a token. It proves nothing from the next request on."""
    from kiban.wiring import house

    house().identity.revoke(id)
    show({"revoked": id}, as_json=as_json, title="Tokens")


def _state(one: IssuedToken) -> str:
    if one.revoked:
        return "revoked"
    return "in force" if one.expires > datetime.now(UTC) else "expired"
