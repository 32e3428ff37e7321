"""What can be measured in ten minutes on any machine: quality of search a labelled set, and our ratios."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kiban.bench import parsing, ratios, retrieval
from kiban.bench.kept import KeptEmbedder
from kiban.bench.ratios import Ratio
from kiban.bench.retrieval import RetrievalFigures
from kiban.bench.server import Server
from kiban.errors import KibanError
from kiban.ports import Embedder, Progress, Tokenizer
from kiban.stack.parts import parts
from kiban.wiring import House

SETS = (
    "jsquad_valid",
    "libreoffice_help_ja/beir_index_ja",
    "libreoffice_help_ja/beir_index_en2ja",
    "mtrag_un_govt_cloud",
)
FILES = "parser_docling"
FIRST_TEXT_MS = 3.0  # that our service may add
PARSE, AGAIN, FLOW = 0.5, 0.02, 1.05


@dataclass(frozen=True, slots=True)
class Row:
    """A figure beside its aim. `met` is None where nothing was measured; `why` says why not."""

    what: str
    value: str
    aim: str
    met: bool | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class QuickRun:
    """Everything one run found, with the machine it ran on."""

    machine: str
    cores: int
    load_at_start: float
    seconds: float
    rows: tuple[Row, ...]
    sets: tuple[RetrievalFigures, ...]


def run(house: House, on: Server, data: Path | None, *, limit: int, progress: Progress) -> QuickRun:
    """Measure what is there: sets and files below `data`, and a running stack. What is not is a row, too."""
    load, began = os.getloadavg()[0], time.monotonic()
    furniture = house.furniture
    embedder = KeptEmbedder(furniture.embedder(furniture.base_embedder), furniture.settings.state / "bench")
    sets = tuple(qualities(data, on, furniture.tokenizer, embedder, limit=limit, progress=progress))
    rows = [
        *map(quality_row, sets),
        *absent(data, [one.folder for one in sets]),
        _parse(data, progress),
        _again(house, on),
        *_running(house),
    ]
    seconds = time.monotonic() - began
    return QuickRun(platform.machine(), os.cpu_count() or 1, load, round(seconds, 1), tuple(rows), sets)


def qualities(
    data: Path | None, on: Server, tokenizer: Tokenizer, embedder: Embedder, *, limit: int, progress: Progress
) -> Iterator[RetrievalFigures]:
    """Measure each known set that lies below `data`."""
    for name in SETS:
        if not data or not (data / name).is_dir():
            continue
        figures = retrieval.measure(
            data / name,
            admin_dsn=on.admin,
            passwords=on.passwords,
            tokenizer=tokenizer,
            embedder=embedder,
            lanes=tuple(retrieval.LANES),
            limit=limit,
            progress=_named(name, progress),
        )
        yield replace(figures, folder=name)


def _named(name: str, progress: Progress) -> Progress:
    return lambda done, total, what: progress(done, total, f"{name} {what}")


def quality_row(one: RetrievalFigures) -> Row:
    """Set the fused lane beside the better of the others."""
    ndcg = {name: lane.ndcg_at_10 for name, lane in one.lanes.items()}
    best = max((name for name in ndcg if name != "fused"), key=lambda name: ndcg[name])
    told = ", ".join(f"{name} {value:.3f}" for name, value in ndcg.items())
    [apart] = [d for d in one.differences if (d.lane, d.other) == ("fused", best)]
    what = f"nDCG@10, {one.folder} ({one.questions} questions)"
    why = f"fused − {best}: {apart.difference:+.3f} [{apart.low:+.3f}, {apart.high:+.3f}]"
    return Row(what, told, "fused at least the better lane", ndcg["fused"] >= ndcg[best], why)


def absent(data: Path | None, found: Sequence[str]) -> Iterator[Row]:
    """Tell of each known set that was not found why."""
    for name in SETS:
        if name not in found:
            yield Row(f"nDCG@10, {name}", "–", "fused at least the better lane", None, _missing(data, name))


def _parse(data: Path | None, progress: Progress) -> Row:
    what, aim = "C8, parsing alone: pages a CPU second ÷ raw pypdfium2", f"≥ {PARSE}"
    if not data or not (data / FILES).is_dir():
        return Row(what, "–", aim, None, _missing(data, FILES))
    found = parsing.measure(data / FILES, progress=progress)
    if not found.raw:
        return Row(what, "–", aim, None, "no PDF was read")
    value = f"{found.raw.ratio:.2f} ({found.raw.files} PDFs, {found.raw.pages} pages)"
    files = f"{found.parsed} of {found.files} files parsed; lowest of one PDF {found.raw.lowest_ratio:.2f}"
    return Row(what, value, aim, found.raw.ratio >= PARSE, files)


def _again(house: House, on: Server) -> Row:
    one = ratios.unchanged(house.furniture, house.furniture.settings.documents, on)
    return Row(
        "C9, ingest again, unchanged ÷ first", _told(one), f"≤ {AGAIN}", one.ratio <= AGAIN, _took(one)
    )


def _running(house: House) -> Iterator[Row]:
    """Measure what needs the whole stack, when it runs."""
    down = [part.name for part in parts(house.furniture.settings) if not part.probe().ok]
    note = f"no stack runs ({', '.join(down)}): kiban up, then again" if down else ""
    yield _tried(
        "C1, first text: our service less vLLM", f"≤ {FIRST_TEXT_MS:g} ms", note, lambda: _first(house)
    )
    yield _tried("C10, ingest flow ÷ plain functions", f"≤ {FLOW}", note, lambda: _flow(house))


def _tried(what: str, aim: str, note: str, measure: Callable[[], tuple[str, bool, str]]) -> Row:
    if note:
        return Row(what, "–", aim, None, note)
    try:
        value, met, why = measure()
    except KibanError as error:
        return Row(what, "–", aim, None, str(error))
    return Row(what, value, aim, met, why)


def _first(house: House) -> tuple[str, bool, str]:
    person = "tanaka"  # of the demo's directory
    one = ratios.first_text(house, person)
    added = (one.ours - one.other) * 1000
    return f"{added:.0f} ms, ratio {_told(one)}", added <= FIRST_TEXT_MS, f"with search; {_took(one)}"


def _flow(house: House) -> tuple[str, bool, str]:
    one = ratios.orchestration(house)
    return _told(one), one.ratio <= FLOW, _took(one)


def _missing(data: Path | None, name: str) -> str:
    return f"{data / name} is not there" if data else "no labelled data: kiban bench quick --data DIR"


def _told(one: Ratio) -> str:
    return f"{one.ratio:.4g} [{one.low:.4g}, {one.high:.4g}]"


def _took(one: Ratio) -> str:
    return f"{one.ours:.3f} s over {one.other:.3f} s, {one.rounds} rounds"
