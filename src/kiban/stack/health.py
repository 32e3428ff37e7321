"""Asking a part how it is. A probe never raises: a part that does not answer is an answer."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import psycopg

PATIENCE = 2.0  # seconds for one answer
PGVECTOR = (0, 8, 2)
POSTGRES = 16


@dataclass(frozen=True)
class Health:
    """What a part said: whether it is well, which version it is, and if it is not well, why."""

    ok: bool
    version: str = ""
    detail: str = ""


Probe = Callable[[], Health]


def get(url: str, body: object = None, *, patience: float = PATIENCE) -> str:
    """Return what `url` answers; with a body, to a POST of its JSON. Raises OSError."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=patience) as response:
        answer: bytes = response.read()
    return answer.decode()


def http(health: str, version: str | None = None) -> Health:
    """Ask one URL whether its part is well and another which version it is (text, or JSON with "version")."""
    try:
        get(health)
        return Health(True, _version(get(version)) if version else "")
    except urllib.error.HTTPError as error:
        return Health(False, detail=f"{health} answered {error.code}")
    except (OSError, ValueError) as error:
        return Health(False, detail=f"{health} does not answer ({getattr(error, 'reason', error)})")


def _version(answer: str) -> str:
    if not answer.startswith(("{", '"')):
        return answer.strip()
    told = json.loads(answer)
    return str(told.get("version", "")) if isinstance(told, dict) else str(told)


def postgres(dsn: str) -> Health:
    """Ask a Postgres for its version and pgvector's; too old ones are not well."""
    try:
        with psycopg.connect(dsn, connect_timeout=int(PATIENCE)) as connection:
            server = connection.info.server_version // 10_000
            row = connection.execute(
                "select default_version from pg_available_extensions where name = 'vector'"
            ).fetchone()
            full = connection.info.parameter_status("server_version") or ""
    except psycopg.Error as error:
        return Health(False, detail=str(error).strip())
    if row is None:
        return Health(False, full, "pgvector is not installed there")
    version = f"{full}, pgvector {row[0]}"
    if server < POSTGRES or tuple(map(int, row[0].split("."))) < PGVECTOR:
        wanted = ".".join(map(str, PGVECTOR))
        return Health(False, version, f"wanted Postgres >= {POSTGRES} with pgvector >= {wanted}")
    return Health(True, version)


def deployments(api: str, since: float) -> Health:
    """Ask Prefect whether our deployments have been polled for runs since that moment (seconds since the
    epoch): that is what serving flows means."""
    try:
        found = json.loads(get(f"{api}/deployments/filter", {"limit": 50}))
    except (OSError, ValueError) as error:
        return Health(False, detail=f"{api} does not answer ({error})")
    polled = [deployment["name"] for deployment in found if _moment(deployment.get("last_polled")) >= since]
    if not polled:
        return Health(False, detail="no deployment is being polled yet")
    return Health(True, detail=", ".join(sorted(polled)))


def _moment(written: str | None) -> float:
    return datetime.fromisoformat(written).timestamp() if written else 0.0
