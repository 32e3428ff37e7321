"""Two pools of connections, as two roles: one that stores, one that answers."""

from __future__ import annotations

import select
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
from pgvector.psycopg import register_vector
from psycopg_pool import ConnectionPool, PoolTimeout

from kiban.backends.postgres.replica import Replica, changes_of
from kiban.domain.generation import FIRST_CUT
from kiban.errors import PartUnavailable

Connection = psycopg.Connection[tuple[Any, ...]]
PATIENCE = 10.0  # seconds to wait for a connection
RETRYING = 8.0  # seconds of ever rarer attempts to connect; the next who asks begins them anew

# One round trip. `true` ends each setting with the transaction, so a pooled connection forgets whom it
# read for. A generic plan would be made for everybody's zones at once, hence custom plans. Only indexes lead
# to rows, and so to those of visible zones alone: what others hold costs no time that could tell of it.
READ_FOR = """
select set_config('kiban.groups', %(groups)s::text[]::text, true), set_config('kiban.cut', %(cut)s, true),
       set_config('kiban.each_of', %(each_of)s::text[]::text, true),
       set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_seqscan', 'off', true),
       set_config('jit', 'off', true), set_config('work_mem', '64MB', true)
"""


class Postgres:
    """Connections to one database. Every method raises PartUnavailable when it does not answer.

    With a replica, what it has not yet heard of is read from the primary; see replica.py.
    """

    def __init__(
        self,
        writer_dsn: str,
        reader_dsn: str,
        *,
        admin_dsn: str = "",
        replica_dsn: str = "",
        connections: int = 8,
    ) -> None:
        self.admin_dsn = admin_dsn  # for who may build indexes
        address = psycopg.conninfo.conninfo_to_dict(reader_dsn)
        self._where = f"{address.get('host')}:{address.get('port', 5432)}"
        self._writers = _pool(writer_dsn, connections, read_only=False)
        self._readers = _pool(reader_dsn, connections, read_only=True)
        self._replica = Replica(_pool(replica_dsn, connections, read_only=True)) if replica_dsn else None

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a transaction as kiban_writer; it commits when the block ends well."""
        with _naming_the_part(self._where), self._writers.connection() as connection:
            yield connection

    @contextmanager
    def reading(
        self, groups: Iterable[str], cut: int = FIRST_CUT, *, each_of: Iterable[str] = ()
    ) -> Iterator[Connection]:
        """Give a read-only transaction as kiban_reader that sees what any of these groups may read, all of it
        as of one moment, and of chunks those of one cut; of that, only what each of `each_of` may read by
        itself."""
        asked = {"groups": sorted(groups), "cut": str(cut), "each_of": sorted(each_of)}
        with _naming_the_part(self._where), ExitStack() as stack:
            connection = None
            if self._replica is not None:
                connection = self._replica.up_to_date(stack, changes_of(self._readers))
            if connection is None:
                connection = stack.enter_context(self._readers.connection())
            connection.execute(READ_FOR, asked)
            yield connection

    def close(self) -> None:
        self._writers.close()
        self._readers.close()
        if self._replica is not None:
            self._replica.close()


def _pool(dsn: str, connections: int, *, read_only: bool) -> ConnectionPool[Connection]:
    def configure(connection: Connection) -> None:
        register_vector(connection)
        connection.commit()  # the pool wants it back idle
        connection.read_only = read_only
        if read_only:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ

    return ConnectionPool(
        dsn,
        min_size=1,
        max_size=connections,
        timeout=PATIENCE,
        reconnect_timeout=RETRYING,  # else whoever asks after a long outage waits for an attempt minutes away
        configure=configure,
        check=_check,
        kwargs={"connect_timeout": 5, "application_name": "kiban"},
        open=True,
    )


def _check(connection: Connection) -> None:
    """Let the pool replace what a restarted server closed. A closed socket has something to read, its end;
    where there is nothing, nothing is asked, which would be a fifth of all round trips."""
    socket = select.poll()
    socket.register(connection.fileno(), select.POLLIN)
    if socket.poll(0):
        ConnectionPool.check_connection(connection)


@contextmanager
def _naming_the_part(where: str) -> Iterator[None]:
    try:
        yield
    except (psycopg.OperationalError, PoolTimeout) as error:
        raise PartUnavailable(f"Postgres at {where}: {str(error).strip()}.", mend="kiban status") from error
