"""`python -m kiban.testing.model_process --text TEXT`: a ModelServer as a process of its own, which can be
killed and does not share the time of who measures it. Its first line says where it listens."""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kiban.testing.model_server import ModelServer


@dataclass(frozen=True)
class ModelProcess:
    """A running one. `process.kill()` is a crash."""

    process: subprocess.Popen[str]
    url: str


@contextmanager
def model_process(text: str, *, pause: float = 0.0, port: int = 0) -> Iterator[ModelProcess]:
    """Start one that always writes `text`, with `pause` seconds between pieces; kill it at the end."""
    asked = ["--text", text, "--pause", str(pause), "--port", str(port)]
    command = [sys.executable, "-m", __name__, *asked]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield ModelProcess(process, process.stdout.readline().strip())
        finally:
            process.kill()


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--text", required=True)
    arguments.add_argument("--pause", type=float, default=0.0)
    arguments.add_argument("--port", type=int, default=0)
    asked = arguments.parse_args()
    with ModelServer(lambda turns, model: asked.text, pause=asked.pause).serving(asked.port) as url:
        print(url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
