"""`kiban search mcp`: passages for a person, and the tools with which an agent finds them for that person."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kiban.cli.output import Json
from kiban.domain.document import Place
from kiban.domain.question import Found, Passage
from kiban.domain.roles import Caller
from kiban.errors import IdentityError

SNIPPET = 80  # characters


def search(
    question: Annotated[str, typer.Argument(help="質問または検索語 / a question or words to search for")],
    who: Annotated[str, typer.Option("--as", help="The person who asks.")],
    limit: Annotated[int, typer.Option(min=1, max=50, help="Passages, at most.")] = 10,
    lanes: Annotated[
        str, typer.Option(help="dense, lexical, pictures, with a comma between; the first two if not said.")
    ] = "",
    source: Annotated[
        list[str] | None, typer.Option(help="Only documents of this source; may be repeated.")
    ] = None,
    under: Annotated[str, typer.Option(help="Only documents whose uri begins so, e.g. minutes/.")] = "",
    format: Annotated[
        list[str] | None, typer.Option(help="Only documents whose uri ends so, e.g. pdf; may be repeated.")
    ] = None,
    modified_from: Annotated[
        datetime | None, typer.Option(help="Only documents modified at or after this, in local time.")
    ] = None,
    modified_before: Annotated[
        datetime | None, typer.Option(help="Only documents modified before this, in local time.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find passages among what a person may read; no model is asked."""
    from kiban.wiring import house
    from services.chat.scope_shapes import scope

    answers = house().answers
    dates = (given and given.astimezone() for given in (modified_from, modified_before))
    about = scope(source or (), under, format or (), *dates)
    found = answers.search(question, answers.known(who), limit, _lanes(lanes), about)
    if as_json:
        typer.echo(json.dumps({"query": question, **asdict(found)}, ensure_ascii=False, indent=1))
    else:
        _print(question, found)


def mcp(
    who: Annotated[
        str | None, typer.Option("--as", help="For whom the agent asks; else the token in KIBAN_MCP_TOKEN.")
    ] = None,
) -> None:
    """Speak the Model Context Protocol on standard input and output: tools search and ask, for one person."""
    from kiban.wiring import house
    from services.chat.tools import tool_server

    answers, token = house().answers, house().furniture.settings.mcp_token
    if who is None and token is None:
        raise IdentityError("nobody asks", mend="kiban mcp --as PERSON, or a token in KIBAN_MCP_TOKEN")

    def asking(_: object) -> Caller:
        # Looked up for every call: a token may expire, and groups may change, while an agent works.
        return answers.seated(who) if who is not None else answers.caller(token or "")

    tool_server(answers, asking).run("stdio")


def _lanes(given: str) -> tuple[str, ...]:
    from kiban.retrieve.search import EVERY_LANE, LANES

    chosen = tuple(lane.strip() for lane in given.split(",") if lane.strip()) or LANES
    if unknown := set(chosen) - set(EVERY_LANE):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: there are {', '.join(EVERY_LANE)}")
    return chosen


def _print(question: str, found: Found) -> None:
    table = Table(
        "#", "document", "where", "score", "why", "text", title=escape(f"{question} ({found.release_id})")
    )
    for number, passage in enumerate(found.passages, start=1):
        why = ", ".join(f"{hit.lane} {hit.rank}" for hit in passage.why)
        snippet = escape(" ".join(passage.original.split())[:SNIPPET])
        document = escape(f"{passage.title}\n{passage.uri} v{passage.version}")
        table.add_row(str(number), document, escape(_where(passage)), f"{passage.score:.3f}", why, snippet)
    Console().print(table)


def _where(passage: Passage) -> str:
    place: Place = passage.place
    shown = (
        place.page and f"p. {place.page}", place.sheet, place.slide and f"slide {place.slide}", place.heading,
        place.anchor and f"#{place.anchor}",
    )  # fmt: skip
    return ", ".join(str(part) for part in shown if part)
