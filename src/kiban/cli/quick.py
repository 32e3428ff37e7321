"""`kiban bench quick`: what can be measured in ten minutes, unattended, on a Postgres of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kiban.cli.output import Json, bars
from kiban.errors import SettingsError


def quick(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of labelled sets and of files to parse; else what needs it is left."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where JSON, Markdown and pictures are written.")] = Path(
        "infra/bench/quick"
    ),
    limit: Annotated[int, typer.Option(min=2, help="Questions a set, at most, drawn by a seed.")] = 200,
    as_json: Json = False,
) -> None:
    """Quality of search a set, parsing, a second ingest, and, when a stack runs, our service and flows."""
    from kiban.bench import quick as measuring
    from kiban.bench import quick_report
    from kiban.bench.server import server
    from kiban.settings import ROOT
    from kiban.wiring import house

    if data and not data.is_dir():
        raise SettingsError(f"{data} is not a folder.", mend="kiban bench quick --data DIR")
    beside = ROOT.parent / "shared" / "data"
    data = data or (beside if beside.is_dir() else None)
    with bars(quiet=as_json) as progress, server(house().furniture) as postgres:
        found = measuring.run(house(), postgres, data, limit=limit, progress=progress)
    written = quick_report.keep(found, out)
    if as_json:
        typer.echo(written[0].read_text())
    else:
        Console().print(quick_report.markdown(found), markup=False, highlight=False, soft_wrap=True)
        Console(stderr=True).print("written:", *map(str, written), markup=False)
