"""`kiban bench chat`: our chat service under load, beside the model server itself and beside LiteLLM."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kiban.cli.output import Json, bars

DEFAULT_OUT = Path("infra/bench")


def chat(
    rounds: Annotated[int, typer.Option(min=2, help="Each side so many times, in turns.")] = 7,
    out: Annotated[Path, typer.Option(help="Where JSON, Markdown and a picture are written.")] = DEFAULT_OUT,
    as_json: Json = False,
) -> None:
    """First text, whole streams and memory at 1, 16 and 64 streams at once; nothing that runs is touched."""
    from kiban.bench import chat_report, chatting
    from kiban.settings import ROOT

    environment = ROOT / ".venv-gateways"
    with bars(quiet=as_json) as progress:
        figures = chatting.measure(
            environment if environment.exists() else None, rounds=rounds, progress=progress
        )
    written = chat_report.keep(figures, out)
    if as_json:
        typer.echo(written[0].read_text())
        return
    Console().print(chat_report.markdown(figures), markup=False, highlight=False, soft_wrap=True)
    Console(stderr=True).print("written:", *map(str, written), markup=False)
