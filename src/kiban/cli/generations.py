"""`kiban generations list build compare flip flip-back drop`: the index, changed while it answers."""

from __future__ import annotations

import getpass
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kiban.cli.output import Json, progress, show
from kiban.errors import UnfitGeneration

generations = typer.Typer(
    help="Index generations: embedder, tokeniser and chunking. A new one is built beside the old.",
    no_args_is_help=True,
)
Number = Annotated[int, typer.Argument(help="The generation's number.")]
Why = Annotated[str, typer.Option(help="Why, for the ledger.")]


@generations.command("list")
def list_generations(as_json: Json = False) -> None:
    """Show every generation, how much of it is built, and which one answers."""
    from kiban.wiring import house

    known, in_force = house().generations.all(), house().releases.in_force().generation
    if as_json:
        rows = [{**asdict(one), "built": one.built, "in_force": one.id == in_force} for one in known]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1, default=str))
        return
    table = Table("#", "embedder", "tokeniser", "chunking", "vectors", "chunks", "built", "MB", "in force")
    for one in known:
        cut = (escape(one.tokenizer), escape(one.chunking))
        share, size = f"{one.built:.1%}", f"{one.size / 1_000_000:.1f}"
        embedder = f"{Path(one.embedder).name} {one.embedder_sha256[:8]}"
        answers = "yes" if one.id == in_force else ""
        table.add_row(
            str(one.id), embedder, *cut, f"{one.vectors:,}", f"{one.chunks:,}", share, size, answers
        )
    Console().print(table)


@generations.command()
def build(
    embedder: Annotated[str | None, typer.Option(help="A known name, a folder or a hub id.")] = None,
    chunking: Annotated[
        str | None,
        typer.Option(help="Target and most of a chunk in full-width characters, such as 250-350."),
    ] = None,
    tokenizer: Annotated[str | None, typer.Option(help="Such as sudachi-core-A-1.")] = None,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Chunks a second, at most.")] = None,
    as_json: Json = False,
) -> None:
    """Cut and embed everything another way, beside what answers. Begun again, it continues.

    What is not named stays as in force; without anything, the embedder is that of the settings.
    """
    from flows.generation import build_generation as flow

    with progress(quiet=as_json):
        number = flow(embedder, rate, tokenizer=tokenizer, chunking=chunking)
    show({"generation": number}, as_json=as_json, title="Built")


@generations.command()
def compare(
    old: Number,
    new: Number,
    questions: Annotated[
        Path, typer.Option(help="Plain lines, JSON lines with text and relevant, or a folder in BEIR layout.")
    ],
    who: Annotated[
        str | None, typer.Option("--as", help="Ask as this person; else as one who is in no group.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Ask at most so many.")] = None,
    as_json: Json = False,
) -> None:
    """Ask both generations the same questions, and keep what was found as evidence for a flip."""
    from kiban.bench import generations as beside
    from kiban.domain.access import Principal
    from kiban.wiring import house

    answers, asked = house().answers, beside.read_questions(questions, limit)
    asker = answers.known(who) if who else Principal("comparison", frozenset())

    def asking(generation: int) -> beside.Ask:
        release = house().generations.as_release(generation)
        return lambda text: [p.uri for p in answers.find_with(release, text, asker, 2 * beside.DEPTH)]

    found = beside.compare((old, asking(old)), (new, asking(new)), asked)
    evidence = _evidence(old, new)
    evidence.parent.mkdir(parents=True, exist_ok=True)
    evidence.write_text(json.dumps(asdict(found), indent=1) + "\n")
    show({**asdict(found), "evidence": str(evidence)}, as_json=as_json, title=f"{old} → {new}")


@generations.command()
def flip(number: Number, reason: Why = "by hand", as_json: Json = False) -> None:
    """Let a generation answer: one entry in the ledger, with the comparison as its evidence."""
    from kiban.wiring import house

    old = house().releases.in_force().generation
    evidence = _evidence(old, number)
    if not evidence.exists() and old != number:
        raise UnfitGeneration(
            f"Nobody has compared {old} with {number}.",
            mend=f"kiban generations compare {old} {number} --questions FILE",
        )
    release = house().generations.flip(number, actor=getpass.getuser(), reason=reason, evidence=str(evidence))
    show({"release": release.id, **asdict(release)}, as_json=as_json, title="Release in force")


@generations.command("flip-back")
def flip_back(reason: Why = "by hand", as_json: Json = False) -> None:
    """Return to the generation that answered before the last flip."""
    from kiban.wiring import house

    release = house().generations.flip_back(actor=getpass.getuser(), reason=reason)
    show({"release": release.id, **asdict(release)}, as_json=as_json, title="Release in force")


@generations.command()
def drop(number: Number, as_json: Json = False) -> None:
    """Remove a generation's vectors, and its chunks when no other has them; refused while a release that may
    answer uses it."""
    from kiban.wiring import house

    house().generations.drop(number)
    show({"dropped": number}, as_json=as_json, title="Generation")


def _evidence(old: int, new: int) -> Path:
    from kiban.settings import load

    return load().state / "generations" / f"{old}-{new}.json"
