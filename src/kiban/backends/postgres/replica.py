"""A read replica, asked only while it has heard of every change of who may read what.

Replication repeats commits in their order. So when the replica's snapshot counts as many changes of readers,
memberships, deletions and releases as the primary does, it holds all of them: whoever lost a permission
before asking is not answered from a time when they had it.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

Connection = psycopg.Connection[tuple[Any, ...]]
CHANGES = "select coalesce(sum(changes), 0) from kiban.change_tally"
PATIENCE = 1.0  # seconds to wait for a connection
REST = 30.0  # seconds in which a replica that did not answer is not asked again


class Replica:
    """Connections to one replica."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool
        self._not_before = 0.0

    def up_to_date(self, stack: ExitStack, changes: int) -> Connection | None:
        """Give a transaction that sees at least so many changes, until `stack` is unwound; None if the
        replica is behind, or does not answer."""
        if time.monotonic() < self._not_before:
            return None
        with ExitStack() as asking:
            try:
                connection = asking.enter_context(self._pool.connection(timeout=PATIENCE))
                if _changes(connection) < changes:
                    return None
            except (psycopg.OperationalError, PoolTimeout):
                self._not_before = time.monotonic() + REST
                return None
            stack.push(asking.pop_all())
            return connection

    def close(self) -> None:
        self._pool.close()


def changes_of(primary: ConnectionPool[Connection]) -> int:
    """Return how many changes are committed by now. Raises what the pool raises when it does not answer."""
    with primary.connection() as connection:
        return _changes(connection)


def _changes(connection: Connection) -> int:
    found = connection.execute(CHANGES).fetchone()
    assert found is not None
    return int(found[0])
