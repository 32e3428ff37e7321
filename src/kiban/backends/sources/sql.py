"""The rows of a query as documents (SQLAlchemy, with whatever driver is installed).

The query gives `id`, `text` (or `body`, with or without `title`), and, as far as there are such things,
`readers`, `updated` and `url`. It is only ever read from, in transactions that are rolled back.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    Connection,
    Engine,
    String,
    Subquery,
    cast,
    column,
    create_engine,
    event,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import NullPool

from kiban.backends.sources.fetching import write
from kiban.backends.sources.readers import group_names, is_plain
from kiban.domain.access import NOBODY, Audience
from kiban.domain.document import Listed, Listing, SourceFile
from kiban.errors import GoneMeanwhile, PartUnavailable, SourceRefused

Moment = datetime | date | int | float | str  # what a column `updated` may hold
_ROWS = 1000  # taken from the server at a time
_BEGIN = {  # what makes a transaction read only, and no statement endless, by dialect
    "postgresql": ("set transaction read only", "set local statement_timeout = {milliseconds}"),
    "mysql": ("set session max_execution_time = {milliseconds}", "start transaction read only"),
    "mariadb": ("set session max_statement_time = {seconds}", "start transaction read only"),
    "sqlite": ("pragma query_only = on",),
}
_MARKS = frozenset(("id", "readers", "updated", "url"))
_WORDS = frozenset(("title", "text", "body"))
_TYPES: Mapping[str, Callable[[Any], Moment]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "int": int,
    "float": float,
    "str": str,
}
_log = logging.getLogger(__name__)


class SqlSource:
    """Lists one document a row. Without a column `updated`, all texts are read to see whether they changed.

    With `whole_every` above 1, only every so manieth listing is whole; the others ask for rows whose
    `updated` is not before the newest one seen, and learn of no deletion. `ending` says what the text is.
    """

    def __init__(
        self,
        name: str,
        url: str,
        query: str,
        max_bytes: int,
        *,
        seconds: float = 60,
        whole_every: int = 1,
        ending: str = "md",
    ) -> None:
        self.name = name
        self._engine = _engine(url, seconds)
        self._query = query.strip().rstrip(";")
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._whole_every = whole_every
        self._ending = ending

    def listing(self, cursor: str = "") -> Listing:
        """The cursor is JSON: how many listings since a whole one, and the newest `updated` seen."""
        since, times = _read_cursor(cursor)
        newest = [since]
        whole = since is None or times >= self._whole_every
        if self._whole_every == 1:
            return Listing(self._entries(None, newest))
        return Listing(
            self._entries(None if whole else since, newest),
            whole,
            cursor=lambda: _cursor(newest[0], 1 if whole else times + 1),
        )

    def fetch(self, listed: Listed, folder: Path) -> SourceFile:
        with self._reading() as connection:
            rows = self._rows(connection)
            words = [column for column in rows.c if column.name in _WORDS]
            asked = select(*words).where(cast(rows.c.id, String(1000)) == listed.identity)
            row = connection.execute(asked).mappings().first()
        if row is None:
            raise GoneMeanwhile(listed.uri)
        return write([_content(dict(row))], listed, folder, listed.uri, self._max_bytes)

    def memberships(self) -> Mapping[str, frozenset[str]]:
        """Return nothing: a query names groups, another source their members."""
        return {}

    def _entries(self, since: Moment | None, newest: list[Moment | None]) -> Iterator[Listed]:
        with self._reading() as connection:
            rows = self._rows(connection)
            dated = "updated" in rows.c
            if self._whole_every > 1 and not dated:
                raise SourceRefused("whole_every needs a column `updated`", mend="name it in the query")
            wanted = _MARKS if dated else _MARKS | _WORDS
            asked = select(*(column for column in rows.c if column.name in wanted))
            if since is not None:
                asked = asked.where(rows.c.updated >= since)  # once more what was last: it may have twins
            seen: set[str] = set()
            for row in connection.execute(asked, execution_options={"yield_per": _ROWS}).mappings():
                if (listed := self._listed(dict(row), dated)) is None:
                    continue
                if listed.uri in seen:
                    raise SourceRefused(f"{self.name}: two rows have the id {listed.identity}")
                seen.add(listed.uri)
                newest[0] = _later(newest[0], row.get("updated"))
                yield listed

    def _listed(self, row: Mapping[str, Any], dated: bool) -> Listed | None:
        if row["id"] is None:
            _log.warning("%s: a row without id: left out", self.name)
            return None
        key = str(row["id"])
        if not is_plain(key):
            _log.warning("%s: %r is not an id that can be kept: left out", self.name, key)
            return None
        updated = row.get("updated")
        return Listed(
            f"{key}.{self._ending}",
            str(updated) if dated else hashlib.sha256(_content(row)).hexdigest(),
            0,
            _audience(row.get("readers")),
            url=str(row.get("url") or ""),
            modified=_aware(updated) if isinstance(updated, datetime) else None,
            identity=key,
        )

    def _rows(self, connection: Connection) -> Subquery:
        """Return the query as something to choose from. A colon in it is a cast, not a parameter."""
        query = self._query.replace(":", r"\:")
        names = list(connection.execute(text(f"select * from ({query}) q where 1 = 0")).keys())
        if "id" not in names or not _WORDS & set(names) - {"title"}:
            raise SourceRefused(f"the query gives {', '.join(names)}, but has to give id and text")
        return text(query).columns(*map(column, names)).subquery("q")

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """Give a read-only transaction. Says in our words what the server answered."""
        try:
            with self._engine.connect() as connection:
                for statement in _BEGIN.get(connection.dialect.name, ()):
                    limits = {"milliseconds": int(self._seconds * 1000), "seconds": self._seconds}
                    connection.exec_driver_sql(statement.format(**limits))
                yield connection
                connection.rollback()
        except (OperationalError, InterfaceError) as error:
            raise PartUnavailable(f"{self.name}: {error.orig}") from error
        except DBAPIError as error:
            raise SourceRefused(f"{self.name}: {error.orig}") from error


def _engine(url: str, seconds: float) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() != "sqlite":
            return create_engine(parsed, poolclass=NullPool)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise SourceRefused("its url is none that SQLAlchemy and the drivers here understand") from error
    path = f"file:{quote(parsed.database or '')}?mode=ro"  # never made by being asked for
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(path, uri=True), poolclass=NullPool)
    event.listen(engine, "connect", lambda connection, _: _stop_after(connection, seconds))
    return engine


def _stop_after(connection: sqlite3.Connection, seconds: float) -> None:
    """Interrupt what a connection to SQLite does when its time is over."""
    end = time.monotonic() + seconds
    connection.set_progress_handler(lambda: int(time.monotonic() > end), 100_000)


def _content(row: Mapping[str, Any]) -> bytes:
    title, body = row.get("title"), row.get("text") if row.get("text") is not None else row.get("body")
    says = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    return (f"# {title}\n\n{says}" if title else says).encode()


def _audience(says: object) -> Audience:
    """Read a list, JSON, a Postgres array's text, or names with commas between."""
    if isinstance(says, str):
        says = says.strip()
        if says.startswith("["):
            try:
                says = json.loads(says)
            except ValueError:
                return NOBODY
        else:
            says = [name for name in says.strip("{}").split(",") if name.strip()]
    names = group_names(list(says) if isinstance(says, (list, tuple)) else None)
    return Audience(names) if names else NOBODY


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _later(one: Moment | None, other: Moment | None) -> Moment | None:
    if one is None or other is None:
        return one if other is None else other
    return max(one, other)  # of one column, so of one type


def _cursor(newest: Moment | None, times: int) -> str:
    if newest is None:
        return ""
    says = newest.isoformat() if isinstance(newest, date) else newest
    return json.dumps({"times": times, "type": type(newest).__name__, "since": says})


def _read_cursor(cursor: str) -> tuple[Moment | None, int]:
    try:
        says = json.loads(cursor)
        return _TYPES[says["type"]](says["since"]), int(says["times"])
    except (ValueError, TypeError, KeyError):
        return None, 0
