"""`kiban bench peers`: our search beside others', on the same chunks and vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kiban.cli.output import Json, bars
from kiban.errors import PartRefused

DEFAULT_OUT = Path("infra/bench")


def peers(
    folders: Annotated[list[Path], typer.Argument(help="Folders in BEIR layout.")],
    limit: Annotated[int, typer.Option(help="Questions a folder, at most, drawn by a seed.")] = 300,
    grown: Annotated[
        int, typer.Option(help="Instead: the first folder grown to so many chunks by noise; times alone.")
    ] = 0,
    only: Annotated[str, typer.Option(help="Which peers, with commas between; without it, every one.")] = "",
    out: Annotated[Path, typer.Option(help="Where JSON, Markdown and pictures are written.")] = DEFAULT_OUT,
    as_json: Json = False,
) -> None:
    """Quality and speed beside BM25, plain pgvector, Haystack, LlamaIndex and LangChain, in one run."""
    from kiban.bench import peer_load, peers_report
    from kiban.bench import peers as beside
    from kiban.bench.kept import KeptEmbedder
    from kiban.bench.server import server
    from kiban.settings import ROOT
    from kiban.wiring import house

    python = ROOT / ".venv-peers" / "bin" / "python"
    if not python.exists():
        raise PartRefused("The peers' environment is not there.", mend="make bench-peers")
    furniture, runs = house().furniture, []
    chosen = [name.strip() for name in only.split(",") if name.strip()] or list(beside.PEERS)
    embedder = KeptEmbedder(furniture.embedder(furniture.base_embedder), furniture.settings.state / "bench")
    for folder in folders[:1] if grown else folders:
        with bars(quiet=as_json) as progress, server(furniture) as postgres:
            load = peer_load.read(
                folder,
                _name(folder),
                furniture.tokenizer,
                embedder,
                limit=limit,
                progress=progress,
            )
            runs.append(
                beside.run(
                    peer_load.grown(load, grown) if grown else load,
                    python=python,
                    adapters=ROOT / "infra" / "bench" / "peers",
                    admin_dsn=postgres.admin,
                    passwords=postgres.passwords,
                    peers=chosen,
                    progress=progress,
                )
            )
        # After every set: what was measured stays, also when a later one is cut short.
        written = peers_report.keep(runs, out, f"peers-{grown}" if grown else "peers")
    if as_json:
        typer.echo(written[0].read_text())
    else:
        Console().print(peers_report.markdown(runs), markup=False, highlight=False, soft_wrap=True)
        Console(stderr=True).print("written:", *map(str, written), markup=False)


def _name(folder: Path) -> str:
    """Name a set by its folder, and by the one above where that says more."""
    folder = folder.resolve()
    return f"{folder.parent.name}/{folder.name}" if folder.name.startswith("beir") else folder.name
