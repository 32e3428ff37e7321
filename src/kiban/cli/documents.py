"""`kiban ingest ask token`: documents in, answers out, and who asks."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from openai import APIConnectionError, APIStatusError, OpenAI
from rich.console import Console

from kiban.cli.output import Json, progress, show
from kiban.errors import PartUnavailable
from kiban.settings import load

Person = Annotated[str, typer.Option("--as", help="The person who asks.")]


def ingest(
    source: Annotated[
        str | None,
        typer.Argument(help="Folder to read, or name of a source; without it, all in the settings."),
    ] = None,
    allow_deleting: Annotated[
        bool, typer.Option("--allow-deleting", help="Delete however many documents are gone.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring the index up to date with a folder of documents, or with other sources."""
    from flows.ingest import ingest as flow  # Prefect takes two seconds to import

    with progress(quiet=as_json):
        report = flow(
            str(Path(source).resolve()) if source and Path(source).is_dir() else source, allow_deleting
        )
    show(asdict(report), as_json=as_json, title="Ingest")


def ask(
    question: Annotated[str, typer.Argument(help="質問 / the question")], who: Person, as_json: Json = False
) -> None:
    """Ask as a person, and get an answer from what that person may read."""
    told = stream_answer(question, who, quiet=as_json)
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1))


def token(who: Person, hours: Annotated[float, typer.Option(help="How long it is good for.")] = 12) -> None:
    """Issue a token for a person, for curl or the chat page; for houses without an OIDC provider."""
    from kiban.wiring import house

    typer.echo(house().answers.token(who, hours))


def stream_answer(question: str, who: str, *, quiet: bool = False) -> dict[str, Any]:
    """Ask the chat service as any OpenAI client does; print what comes, and return it with its sources."""
    from kiban.wiring import house

    settings, console = load(), Console()
    url = f"http://{settings.host}:{settings.chat_port}/v1"
    client = OpenAI(base_url=url, api_key=house().answers.token(who), max_retries=0)
    words: list[str] = []
    sources: dict[str, Any] = {}
    try:
        for event in client.chat.completions.create(
            model="kiban", messages=[{"role": "user", "content": question}], stream=True
        ):
            words += [choice.delta.content or "" for choice in event.choices]
            if not quiet:
                console.out(words[-1] if event.choices else "", end="", highlight=False)
            sources = (event.model_extra or {}).get("kiban") or sources
    except APIConnectionError as error:
        raise PartUnavailable(f"chat at {url}.", mend="kiban up") from error
    except APIStatusError as error:
        raise PartUnavailable(f"chat at {url} answered {error.status_code}: {error.message}") from error
    if not quiet:
        console.print()
        _print_sources(console, sources)
    return {"answer": "".join(words), **sources}


def _print_sources(console: Console, sources: dict[str, Any]) -> None:
    for citation in sources.get("citations", []):
        place = ", ".join(f"{key} {value}" for key, value in (citation.get("place") or {}).items() if value)
        where = f"{citation['uri']} v{citation['version']} {place}".strip()
        console.print(f"  [{citation['number']}] {where}: {citation['quote']}", style="dim", markup=False)
