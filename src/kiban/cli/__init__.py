"""The command line. A command's module is imported when the command is asked for: `kiban status` need not
wait for what `kiban adapt` needs."""

from __future__ import annotations

import json
import logging
import os
import sys
from importlib import import_module

import typer
from rich.console import Console
from typer.core import TyperGroup

from kiban.errors import KibanError

MODULES = {
    "kiban.cli.demo": ("demo",),
    "kiban.cli.stack": ("up", "down", "status", "doctor"),
    "kiban.cli.models": ("models",),
    "kiban.cli.documents": ("ingest", "ask", "token"),
    "kiban.cli.states": ("documents",),
    "kiban.cli.sources": ("sources",),
    "kiban.cli.bench": ("bench",),
    "kiban.cli.feedback": ("feedback",),
    "kiban.cli.directories": ("directories",),
    "kiban.cli.users": ("users",),
    "kiban.cli.tokens": ("tokens",),
    "kiban.cli.records": ("records",),
    "kiban.cli.search": ("search", "mcp"),
    "kiban.cli.generations": ("generations",),
    "kiban.cli.nights": ("drift",),
    "kiban.cli.learning": ("adapt", "judge", "promote", "approve", "rollback", "history"),
}
COMMANDS = {command: module for module, commands in MODULES.items() for command in commands}


class Lazily(TyperGroup):
    """The group of all commands, each a function or a Typer of its module."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str):  # type: ignore[no-untyped-def,override]
        if cmd_name not in COMMANDS:
            return None
        found = getattr(import_module(COMMANDS[cmd_name]), cmd_name)
        if isinstance(found, typer.Typer):
            group = typer.main.get_command(found)
            group.name = cmd_name
            return group
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(cmd_name)(found)
        return typer.main.get_command(single)


app = typer.Typer(cls=Lazily, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def kiban() -> None:
    """Turn a company's documents into its own model, on its own machines."""
    from kiban.settings import load
    from kiban.stack import environment

    settings = load()
    (settings.state / "prefect").mkdir(parents=True, exist_ok=True)  # Prefect warns where it has no home
    os.environ.update(environment.clients(settings))  # before Prefect or MLflow is imported


def main() -> None:
    """Run one command. A KibanError ends it with a message that names the mend, and exit code 1."""
    logging.captureWarnings(True)  # deprecations inside libraries are for developers, who run the tests
    logging.getLogger("py.warnings").addHandler(logging.NullHandler())
    logging.getLogger("py.warnings").propagate = False  # Prefect's root handler would print them all the same
    try:
        app()
    except KibanError as error:
        if "--json" in sys.argv:
            told = {"error": type(error).__name__, "detail": error.detail, "mend": error.mend}
            print(json.dumps(told, ensure_ascii=False))
        else:
            Console(stderr=True).print(f"[red]{type(error).__name__}[/] ", end="")
            Console(stderr=True).print(str(error), markup=False, highlight=False)
        sys.exit(1)
