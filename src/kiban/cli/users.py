"""`kiban users`: whom this house itself knows, where no OpenID provider does."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from kiban.cli.output import Json, show

users = typer.Typer(help="People and services this house itself knows.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="What they are called, also in .people.yaml.")]


@users.command()
def add(
    name: Name,
    group: Annotated[list[str] | None, typer.Option(help="A group; may be said again.")] = None,
    service: Annotated[bool, typer.Option("--service", help="No password: it comes in by tokens.")] = False,
    as_json: Json = False,
) -> None:
    """Add a person, whose password is asked for or read from standard input, or a service."""
    from kiban.wiring import house

    house().identity.add_user(name, group or (), None if service else _new_password())
    show({"added": name, "groups": sorted(group or ())}, as_json=as_json, title="Users")


@users.command("list")
def listed(as_json: Json = False) -> None:
    """Show everybody, with the groups given here. Groups from elsewhere add to them."""
    from kiban.wiring import house

    found = house().identity.users()
    if as_json:
        told = [{**asdict(one), "groups": sorted(one.groups)} for one in found]
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1, default=str))
        return
    shown = Table("name", "groups", "comes in by", "since")
    for one in found:
        door = "password" if one.has_password else "tokens"
        shown.add_row(one.name, ", ".join(sorted(one.groups)), door, f"{one.made:%Y-%m-%d}")
    Console().print(shown)


@users.command()
def password(name: Name, as_json: Json = False) -> None:
    """Change a password. Whoever logged in with the old one is logged out."""
    from kiban.wiring import house

    house().identity.set_password(name, _new_password())
    show({"changed": name}, as_json=as_json, title="Users")


@users.command()
def remove(name: Name, as_json: Json = False) -> None:
    """Forget somebody with their groups, sessions and tokens."""
    from kiban.wiring import house

    house().identity.remove_user(name)
    show({"removed": name}, as_json=as_json, title="Users")


def _new_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return asked
