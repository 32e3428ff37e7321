"""`kiban bench parse`: any folder of files, read as ingest reads it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from kiban.cli.output import Json, bars

if TYPE_CHECKING:
    from kiban.bench.parsing import ParseFigures


def parse(
    folder: Annotated[Path, typer.Argument(help="Files of any kind, in folders of any depth.", exists=True)],
    gold: Annotated[
        Path | None, typer.Option(help="Folder of gold texts: report.pdf.md or report.md for report.pdf.")
    ] = None,
    peers: Annotated[
        Path | None, typer.Option(help="A Python that has markitdown or docling, to run beside us.")
    ] = None,
    ocr_pages: Annotated[int, typer.Option(help="Pages of a document to read by OCR, at most.")] = 0,
    as_json: Json = False,
) -> None:
    """Pages a second, failures by reason, memory, and PDFs against raw pypdfium2, on any folder."""
    from kiban.bench.parsing import measure

    with bars(quiet=as_json) as progress:
        figures = measure(folder, gold=gold, peers=peers, pictures=ocr_pages, progress=progress)
    if as_json:
        typer.echo(json.dumps(asdict(figures), ensure_ascii=False, indent=1))
    else:
        _show(figures)


def _show(figures: ParseFigures) -> None:
    console = Console()
    table = Table("format", "files", "parsed", "pages", "characters", "pages / CPU s", title="Parsing")
    for ending, one in figures.formats.items():
        rate = f"{one.pages_per_cpu_second:,.1f}"
        table.add_row(ending, str(one.files), str(one.parsed), f"{one.pages:,}", f"{one.characters:,}", rate)
    console.print(table)
    for reason, count in figures.failures.items():
        console.print(f"{count:5d} × {reason}", markup=False, highlight=False)
    console.print(
        f"{figures.parsed} of {figures.files} files, {figures.pages:,} pages "
        f"in {figures.wall_seconds:.1f} s; "
        f"worker {figures.worker_peak_mb:.0f} MB, parent {figures.parent_peak_mb:.0f} MB at most; "
        f"{figures.pictures_unread} pictures not read; {', '.join(figures.defences)}"
    )
    if raw := figures.raw:
        console.print(f"PDF, ours / raw pypdfium2: {raw.ratio:.2f}, lowest {raw.lowest_ratio:.2f}")
    if figures.recall is not None:
        console.print(f"recall of {figures.gold_files} gold texts: {figures.recall:.3f}")
    for peer in figures.peers:
        kept = f", recall {peer.recall:.3f}" if peer.recall is not None else ""
        console.print(
            f"{peer.name} {peer.version or 'not installed'}: {peer.parsed} of {peer.files} files, "
            f"{peer.cpu_seconds:.1f} CPU s{kept}"
        )
