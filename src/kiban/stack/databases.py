"""The database of each part: the embedded Postgres's, or one beside ours on an existing server."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.backends.postgres.schema import READER, WRITER, dsn_as
from kiban.errors import PartRefused, PartUnavailable
from kiban.settings import Settings
from kiban.stack import health
from kiban.stack.daemon import last_lines, memory
from kiban.stack.health import Health


def embedded(settings: Settings) -> EmbeddedPostgres:
    return EmbeddedPostgres(settings.state / "postgres", settings.postgres_port, settings.host)


@dataclass(frozen=True)
class Roles:
    """How to reach Kiban's own database: to administer it, to store, and to answer."""

    admin: str
    writer: str
    reader: str
    passwords: dict[str, str]
    replica: str = ""  # to answer from; "" when there is none


def roles(settings: Settings) -> Roles:
    """Return the addresses on the embedded server, or on the one the settings name."""
    if settings.postgres_dsn:
        admin, passwords = settings.postgres_dsn, _passwords(settings.state / "postgres-passwords.json")
    else:
        server = embedded(settings)
        admin, passwords = server.dsn("postgres"), server.passwords
    writer, reader = (dsn_as(admin, role, passwords[role]) for role in (WRITER, READER))
    there = settings.postgres_replica_dsn
    return Roles(admin, writer, reader, passwords, dsn_as(there, READER, passwords[READER]) if there else "")


def _passwords(path: Path) -> dict[str, str]:
    """Return the passwords of our roles on somebody else's server, made once, readable by us alone."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps({role: secrets.token_urlsafe(24) for role in (WRITER, READER)}))
    known: dict[str, str] = json.loads(path.read_text())
    return known


@dataclass(frozen=True)
class EmbeddedRunner:
    """Starts and stops the embedded Postgres as a part."""

    server: EmbeddedPostgres

    @property
    def log(self) -> Path:
        return self.server.log

    def start(self) -> None:
        self.server.start()

    def stop(self, grace: float) -> None:
        self.server.stop()

    def pid(self) -> int | None:
        if not self.server.running:
            return None
        return int((self.server.data / "postmaster.pid").read_text().split()[0])

    def memory(self) -> int:
        pid = self.pid()
        return memory(psutil.Process(pid)) if pid else 0

    def last_words(self) -> str:
        return last_lines(self.log)

    def probe(self) -> Health:
        if not self.server.running:
            return Health(False, detail="not running")
        return health.postgres(self.server.dsn("postgres"))


def sibling(dsn: str, database: str) -> str:
    """Return the URL of another database on an existing server, with the same user."""
    known = {key: str(value) for key, value in conninfo_to_dict(dsn).items() if value is not None}
    user, password = known.pop("user", "postgres"), known.pop("password", "")
    host, port = known.pop("host", "127.0.0.1"), known.pop("port", "5432")
    known.pop("dbname", None)
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    options = f"?{urlencode(known)}" if known else ""
    return f"postgresql://{login}@{host}:{port}/{database}{options}"


def ensure(dsn: str, database: str) -> None:
    """Create a database on an existing server unless it is there. Raises PartRefused, PartUnavailable."""
    try:
        with psycopg.connect(make_conninfo(dsn), autocommit=True, connect_timeout=10) as connection:
            known = connection.execute("select from pg_database where datname = %s", [database]).fetchone()
            if known is None:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(database)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise PartRefused(
            f"The user of postgres_dsn may not create the database {database}.",
            mend=f"create it for that user, with the extension pg_trgm: create database {database};",
        ) from error
    except psycopg.OperationalError as error:
        raise PartUnavailable(f"postgres: {error}".strip()) from error
