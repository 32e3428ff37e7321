"""`kiban bench adapt` and `adapt-sets`: what weights learn from one corpus, and lose on another."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from kiban.cli.output import Json, bars

if TYPE_CHECKING:  # seconds to import
    from kiban.bench.adapting import AdaptBench, Effort

DEFAULT_OUT = Path("infra/bench/adapt")
Documents = Annotated[int | None, typer.Option(help="Documents of each folder, drawn by a seed.")]
Recipes = Annotated[
    list[str] | None, typer.Option(help="How the embedder is taught; may be given several times.")
]
Keep = Annotated[Path | None, typer.Option(help="Keep the weights in this folder, and use those there.")]


def adapt(
    train: Annotated[Path, typer.Option(help="Folder to learn from; queries.jsonl with answers.")],
    evaluate: Annotated[
        Path | None,
        typer.Option(
            "--eval", help="Folder to judge on; without it, half of the documents of --train judge."
        ),
    ] = None,
    outside: Annotated[
        Path | None, typer.Option(help="A third folder, on which the adapted embedder must not lose.")
    ] = None,
    learnt: Annotated[int, typer.Option(help="Questions the language model learns from.")] = 64,
    pairs: Annotated[int, typer.Option(help="Questions that embedder and reranker learn from.")] = 256,
    judged: Annotated[int, typer.Option(help="Questions asked in four arms.")] = 80,
    ranked: Annotated[int, typer.Option(help="Questions by which retrieval is compared.")] = 400,
    documents: Documents = None,
    recipe: Recipes = None,
    embedder: Annotated[bool, typer.Option(help="Adapt the embedder.")] = True,
    reranker: Annotated[bool, typer.Option(help="Adapt a reranker, too: minutes more on a CPU.")] = False,
    llm: Annotated[bool, typer.Option(help="Adapt the language model, too; the stack has to run.")] = True,
    keep: Keep = None,
    as_json: Json = False,
) -> None:
    """Adapt on one folder in BEIR layout, judge on another: every arm, with intervals. A folder without
    answers can teach and judge embedder and reranker."""
    from kiban.bench.adapting import Effort
    from kiban.judge import phrases

    effort = Effort(learnt, pairs, judged, ranked, documents=documents)
    with _bench(_taught(effort, recipe), keep, quiet=as_json) as bench:
        figures = bench.run(train, evaluate, outside, embedder=embedder, reranker=reranker, llm=llm)
    if as_json:
        typer.echo(json.dumps(asdict(figures), ensure_ascii=False, indent=1, default=sorted))
        return
    shown = Table("arm", *(measure := sorted({name for of in figures.arms.values() for name in of})))
    for arm, means in figures.arms.items():
        cells = (means.get(name) for name in measure)
        shown.add_row(arm, *(f"{c.mean:.2f} [{c.low:.2f}, {c.high:.2f}]" if c else "–" for c in cells))
    Console().print(shown)
    outside_of = (figures.outside, figures.reranker_outside)
    lost = [f"Outside: {phrases.english(comparison)}" for comparison in outside_of if comparison]
    for gain in figures.gains[1:]:
        lost.append(f"{gain.recipe}: {phrases.english(gain.home)}")
        lost += [f"{gain.recipe}, outside: {phrases.english(gain.outside)}"] if gain.outside else []
    for reason in (*figures.reasons, *lost, f"Verdict: {figures.outcome}"):
        Console().print(reason, markup=False, highlight=False)


def adapt_sets(
    sets: Annotated[
        list[Path], typer.Argument(help="Folders in BEIR layout; each is the next one's outside.")
    ],
    pairs: Annotated[int, typer.Option(help="Questions that embedder and reranker learn from.")] = 256,
    learnt: Annotated[int, typer.Option(help="Questions the language model learns from.")] = 64,
    judged: Annotated[int, typer.Option(help="Questions asked in four arms.")] = 80,
    ranked: Annotated[int, typer.Option(help="Questions by which retrieval is compared.")] = 400,
    documents: Documents = None,
    recipe: Recipes = None,
    reranker: Annotated[bool, typer.Option(help="Adapt a reranker, too.")] = False,
    llm: Annotated[
        bool, typer.Option(help="Four arms where a set has answers; the stack has to run.")
    ] = False,
    keep: Keep = None,
    out: Annotated[
        Path, typer.Option(help="Where JSON, Markdown and the picture are written.")
    ] = DEFAULT_OUT,
    as_json: Json = False,
) -> None:
    """Of each set, learn from half of the documents and ask about the others; look for losses on the next."""
    from kiban.bench import adapt_report
    from kiban.bench.adapting import Effort

    effort = _taught(Effort(learnt, pairs, judged, ranked, documents=documents), recipe)
    measured: list[adapt_report.SetFigures] = []
    for at, folder in enumerate(sets):
        outside = sets[(at + 1) % len(sets)] if len(sets) > 1 else None
        place = keep / _name(folder).replace("/", "--") if keep else None
        with _bench(effort, place, quiet=as_json) as bench:
            figures = bench.run(folder, None, outside, reranker=reranker, llm=llm and bench.answered(folder))
        named = adapt_report.SetFigures(_name(folder), _name(outside) if outside else "", figures)
        measured.append(named)
        # After every set: what was measured stays, also when a later one is cut short.
        written = adapt_report.keep(measured, out)
    if as_json:
        typer.echo(written[0].read_text())
    else:
        Console().print(adapt_report.markdown(measured), markup=False, highlight=False, soft_wrap=True)
        Console(stderr=True).print("written:", *map(str, written), markup=False)


@contextmanager
def _bench(effort: Effort, keep: Path | None, *, quiet: bool) -> Iterator[AdaptBench]:
    from kiban.bench.adapting import AdaptBench
    from kiban.bench.server import server
    from kiban.wiring import house

    furniture = house().furniture
    with (
        bars(quiet=quiet) as furniture.progress,
        TemporaryDirectory(prefix="kiban-bench-") as scratch,
        server(furniture) as postgres,
    ):
        yield AdaptBench(house(), effort, keep or Path(scratch), postgres)


def _taught(effort: Effort, recipes: Sequence[str] | None) -> Effort:
    return replace(effort, recipes=tuple(recipes)) if recipes else effort


def _name(folder: Path) -> str:
    """Name a set by its folder, and by the one above where that says more."""
    folder = folder.resolve()
    return f"{folder.parent.name}/{folder.name}" if folder.name.startswith("beir") else folder.name
