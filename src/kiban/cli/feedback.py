"""`kiban feedback`: the curators' queue, for those who like a terminal."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from kiban.cli.output import Json
from kiban.domain.access import Principal
from kiban.domain.feedback import APPROVERS, Feedback

feedback = typer.Typer(help="Decide what is learnt from what people say of answers.", no_args_is_help=True)

Curator = Annotated[str, typer.Option("--as", help="The curator.")]
Reason = Annotated[str, typer.Option(help="Why.")]


@feedback.command("list")
def waiting(who: Curator, as_json: Json = False) -> None:
    """Show what waits for a decision, about documents you may read."""
    from kiban.wiring import house

    found = house().feedback.waiting(_principal(who))
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], ensure_ascii=False, indent=1, default=str))
        return
    shown = Table("#", "by", "question", "should say", "because there stands", "approved by")
    for one in found:
        quote = one.evidence.quote if one.evidence else ""
        vouching = ", ".join(said.curator for said in one.decisions if said.approves)
        shown.add_row(str(one.id), one.author, one.question, one.correction, quote, vouching)
    Console().print(shown)


@feedback.command()
def approve(number: int, who: Curator, reason: Reason = "", as_json: Json = False) -> None:
    """Vouch for feedback; it teaches when enough curators other than its author do."""
    _decide(number, who, approves=True, reason=reason, as_json=as_json)


@feedback.command()
def refuse(number: int, who: Curator, reason: Reason = "", as_json: Json = False) -> None:
    """Object to feedback; one objection is enough."""
    _decide(number, who, approves=False, reason=reason, as_json=as_json)


def _decide(number: int, who: str, *, approves: bool, reason: str, as_json: bool) -> None:
    from kiban.wiring import house

    decided = house().feedback.decide(number, _principal(who), approves=approves, reason=reason)
    if as_json:
        typer.echo(json.dumps(asdict(decided), ensure_ascii=False, indent=1, default=str))
    else:
        Console().print(_state(decided))


def _state(decided: Feedback) -> str:
    if decided.refused:
        return "Refused."
    vouching = {said.curator for said in decided.decisions if said.approves} - {decided.author}
    return "Approved." if decided.approved else f"{len(vouching)} of {APPROVERS} approvals."


def _principal(name: str) -> Principal:
    from kiban.wiring import house

    return Principal(name, house().furniture.directory.groups_of(name))
