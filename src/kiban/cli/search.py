"""`kiban search`: passages for a person, and why each was found."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from kiban.cli.output import Json
from kiban.domain.document import Place
from kiban.domain.question import Found, Passage

SNIPPET = 80  # characters


def search(
    question: Annotated[str, typer.Argument(help="質問または検索語 / a question or words to search for")],
    who: Annotated[str, typer.Option("--as", help="The person who asks.")],
    limit: Annotated[int, typer.Option(min=1, max=50, help="Passages, at most.")] = 10,
    lanes: Annotated[str, typer.Option(help="dense, lexical, or both with a comma between.")] = "",
    as_json: Json = False,
) -> None:
    """Find passages among what a person may read; no model is asked."""
    from kiban.wiring import house

    answers = house().answers
    found = answers.search(question, answers.known(who), limit, _lanes(lanes))
    if as_json:
        typer.echo(json.dumps({"query": question, **asdict(found)}, ensure_ascii=False, indent=1))
    else:
        _print(question, found)


def _lanes(given: str) -> tuple[str, ...]:
    from kiban.retrieve.search import LANES

    chosen = tuple(lane.strip() for lane in given.split(",") if lane.strip()) or LANES
    if unknown := set(chosen) - set(LANES):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: there are {', '.join(LANES)}")
    return chosen


def _print(question: str, found: Found) -> None:
    table = Table("#", "document", "where", "score", "why", "text", title=f"{question} ({found.release_id})")
    for number, passage in enumerate(found.passages, start=1):
        why = ", ".join(f"{hit.lane} {hit.rank}" for hit in passage.why)
        snippet = " ".join(passage.original.split())[:SNIPPET]
        document = f"{passage.title}\n{passage.uri} v{passage.version}"
        table.add_row(str(number), document, _where(passage), f"{passage.score:.3f}", why, snippet)
    Console().print(table, markup=False)


def _where(passage: Passage) -> str:
    place: Place = passage.place
    shown = (
        place.page and f"p. {place.page}", place.sheet, place.slide and f"slide {place.slide}", place.heading,
        place.anchor and f"#{place.anchor}",
    )  # fmt: skip
    return ", ".join(str(part) for part in shown if part)
