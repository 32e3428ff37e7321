"""One process of a training that several share: `python -m kiban.backends.one_of_several FOLDER`.

Started by `several` on one machine, called by `ray_training` on many. What is trained, and on what, lies in
the folder; what the first process has to tell goes into a file there, a line each.
"""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from accelerate import PartialState

from kiban.backends import together
from kiban.errors import KibanError

WORK, TOLD = "several.pickle", "told.jsonl"


def take_part(out: Path) -> None:
    """Train with the others; errors of ours are told, and raised."""
    # No other's pickle: written a moment ago, into a folder that only this house writes to.
    trainer, material = pickle.loads((out / WORK).read_bytes())
    PartialState(cpu=trainer.device == "cpu", **({"backend": "gloo"} if trainer.device == "cpu" else {}))
    tell = _teller(out / TOLD) if together.first() else _nothing
    try:
        replace(
            trainer,
            log=lambda step, measures: tell("log", step, dict(measures)),
            spent=lambda cost: tell("spent", asdict(cost)),
        ).train(material, out, lambda done, total, what: tell("progress", done, total, what))
    except KibanError as error:
        tell("error", type(error).__name__, error.detail, error.mend)
        raise


def _teller(path: Path) -> Callable[..., None]:
    def tell(*what: Any) -> None:
        with path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(what) + "\n")

    return tell


def _nothing(*what: Any) -> None:
    pass


if __name__ == "__main__":
    take_part(Path(sys.argv[1]))
