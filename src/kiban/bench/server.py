"""A Postgres to measure on: the one the settings name, else one that lives as long as the measurement."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.wiring.furniture import Furniture


@dataclass(frozen=True, slots=True)
class Server:
    """`admin` may create databases and roles; `passwords` are those of our two roles."""

    admin: str
    passwords: Mapping[str, str]


@contextmanager
def server(furniture: Furniture) -> Iterator[Server]:
    """Give a server. The house's embedded one is left alone: it has answers to give meanwhile."""
    if furniture.settings.postgres_dsn:
        yield Server(furniture.roles.admin, furniture.roles.passwords)
        return
    with tempfile.TemporaryDirectory(prefix="kiban-bench-") as folder:
        own = EmbeddedPostgres(Path(folder) / "postgres", _free_port())
        try:
            own.start()
            yield Server(own.dsn("postgres"), own.passwords)
        finally:
            own.wipe()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
