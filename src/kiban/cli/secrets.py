"""`kiban bench secrets`: sown secrets and personal data, found by our detector and by Presidio."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from kiban.cli.output import Json

if TYPE_CHECKING:
    from kiban.ports import Detector

SCORES = (0.0, 0.35, 0.6)  # the lowest that counts; Presidio's own default is the first


def secrets(
    presidio: Annotated[Path | None, typer.Option(help="A Python that has presidio-analyzer.")] = None,
    english: Annotated[str, typer.Option(help="Its spaCy model for English names.")] = "ja_ginza",
    count: Annotated[int, typer.Option(help="Seeds.")] = 500,
    seed: Annotated[int, typer.Option(help="By which they are drawn.")] = 10,
    as_json: Json = False,
) -> None:
    """Recall and precision on the seeds of attack B7, by kind, for each detector."""
    from kiban.bench.attacks.secrets import sow
    from kiban.bench.attacks.seeds import draw
    from kiban.wiring import house

    furniture, told, tallies = house().furniture, {}, {}
    seeds = draw(count, seed)
    for name, score in (
        {"ours": None} | ({f"Presidio ≥ {s:g}": s for s in SCORES} if presidio else {})
    ).items():
        with _detector(presidio, score, english) as detector, TemporaryDirectory() as folder:
            began = time.perf_counter()
            tally = sow(seeds, Path(folder), furniture.parser, furniture.tokenizer, detector)
            told[name] = {"recall": tally.recall, "precision": tally.precision}
            told[name]["seconds"] = time.perf_counter() - began
            tallies[name] = tally
    if as_json:
        kinds = {
            name: {"sown": one.sown, "found": one.found, "false": one.false} for name, one in tallies.items()
        }
        typer.echo(json.dumps({"seeds": count, "seed": seed, "detectors": told, "kinds": kinds}, indent=1))
        return
    shown = Table("kind", "sown", *told, title=f"{count} seeds, found")
    for kind, sown in sorted(tallies["ours"].sown.items()):
        shown.add_row(kind, str(sown), *(str(one.found[kind]) for one in tallies.values()))
    for measure in ("recall", "precision", "seconds"):
        shown.add_row(measure, "", *(f"{one[measure]:.3f}" for one in told.values()))
    Console().print(shown)


@contextmanager
def _detector(presidio: Path | None, score: float | None, english: str) -> Iterator[Detector]:
    from kiban.backends.sensitive.detector import SensitiveDetector
    from kiban.bench.peer_detector import PeerDetector

    if score is None or presidio is None:
        yield SensitiveDetector()
        return
    with PeerDetector(presidio, [str(score), english]) as detector:
        yield detector
