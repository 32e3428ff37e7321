"""A Postgres for one measurement, gone afterwards: nothing of the real house is touched."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from kiban.backends.embedded_postgres import EmbeddedPostgres


@contextmanager
def throwaway_postgres(memory_mb: int = 512) -> Iterator[EmbeddedPostgres]:
    """Give a running server with empty databases."""
    with tempfile.TemporaryDirectory(prefix="kiban-bench-") as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
        probe.close()
        server = EmbeddedPostgres(Path(folder) / "postgres", port, durable=False, memory_mb=memory_mb)
        try:
            server.start()
            yield server
        finally:
            server.wipe()


def memory_mb(server: EmbeddedPostgres) -> float:
    """Return what a server's processes hold, each shared page counted once (PSS)."""
    (pid, *_) = (server.data / "postmaster.pid").read_text().split()
    processes = [psutil.Process(int(pid)), *psutil.Process(int(pid)).children(recursive=True)]
    return float(sum(process.memory_full_info().pss for process in processes)) / (1 << 20)


def load() -> float:
    """Return how many processes wanted a core in the last minute."""
    return os.getloadavg()[0]
