"""`kiban ingest` and `kiban ask`: documents in, answers out."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from openai import OpenAI
from rich.console import Console

from kiban.cli.output import Json, progress, show
from kiban.settings import load

console = Console()


def ingest(
    path: Annotated[
        Path | None, typer.Argument(help="Folder to read; without it, the one in the settings.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring the index up to date with a folder of documents."""
    from flows.ingest import ingest as flow  # Prefect takes two seconds to import

    with progress(quiet=as_json):
        report = flow(path.resolve() if path else None)
    show(asdict(report), as_json=as_json, title="Ingest")


def ask(
    question: Annotated[str, typer.Argument(help="質問 / the question")],
    who: Annotated[str, typer.Option("--as", help="The person who asks.")],
    as_json: Json = False,
) -> None:
    """Ask as a person, and get an answer from what that person may read."""
    from kiban.wiring import house

    settings = load()
    client = OpenAI(
        base_url=f"http://{settings.host}:{settings.chat_port}/v1",
        api_key=house().answers.token(who),
        max_retries=0,
    )
    stream = client.chat.completions.create(
        model="kiban", messages=[{"role": "user", "content": question}], stream=True
    )
    sources: dict[str, object] = {}
    for event in stream:
        if event.choices and event.choices[0].delta.content and not as_json:
            console.print(event.choices[0].delta.content, end="", markup=False, highlight=False)
        sources = (event.model_extra or {}).get("kiban") or sources
    if as_json:
        typer.echo(json.dumps(sources, ensure_ascii=False, indent=1))
        return
    console.print()
