"""Progress lines with elapsed seconds, and a log of everything that the installers said."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

STARTED = time.monotonic()


class Refused(Exception):
    """Setup cannot go on; the message says why and what mends it."""


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say that `what` happens, and how long it took. On a terminal the seconds run."""
    began = time.monotonic()
    over = threading.Event()
    if sys.stderr.isatty():
        threading.Thread(target=_tick, args=(what, began, over), daemon=True).start()
    try:
        yield
    finally:
        over.set()
    now = time.monotonic()
    print(f"\r[{now - STARTED:4.0f} s] {what} ({now - began:.1f} s)", file=sys.stderr, flush=True)


def _tick(what: str, began: float, over: threading.Event) -> None:
    while not over.wait(1):
        print(f"\r[{time.monotonic() - STARTED:4.0f} s] {what} …", end="", file=sys.stderr, flush=True)


def run(
    command: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None, mend: str = ""
) -> None:
    """Run a command to its end. Raises Refused with the last lines it printed if it fails."""
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
    with log.open("a") as file:
        file.write(f"$ {' '.join(map(str, command))}\n{done.stdout}\n")
    if done.returncode:
        tail = "\n".join(done.stdout.strip().splitlines()[-8:])
        raise Refused(f"{tail}\n\n{command[0]} failed; all it said is in {log}.\nMend: {mend}")
