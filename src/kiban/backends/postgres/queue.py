"""ports.Queue: what is to be read, as states of the documents themselves.

A lease is a random id on the rows it covers: whoever finds another id there has lost them. `skip locked`
lets any number of workers take at once without waiting for each other.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from psycopg.types.json import Jsonb

from kiban.backends.postgres.connect import Connection, Postgres
from kiban.backends.postgres.copying import storable
from kiban.backends.postgres.library import alone, clear, zone_of
from kiban.domain.access import Audience
from kiban.domain.document import (
    IngestReport,
    Lease,
    Leased,
    Listed,
    SourceFile,
    SourceStatus,
    Tombstone,
)

ATTEMPTS = 3  # failures of a document, or deaths of its worker, after which it is dead

# Do all who may read a document now belong to those who could read what it says?
COVERED = """
(select 'everyone' = any(had.readers) or has.readers <@ had.readers
 from kiban.zone as had, kiban.zone as has where had.id = {old} and has.id = {new})
"""

# "infinity" holds a new document until the whole listing is known.
RECORD = f"""
with listed as materialized (
    select * from jsonb_to_recordset(%(entries)s) as one (
        uri text, tag text, size bigint, zone integer, url text, modified timestamptz, identity text)
), before as materialized (
    select listed.*, id, known.tag as old_tag, known.zone_id as old_zone, known.state as old_state,
        (known.url, known.modified, known.identity)
            is distinct from (listed.url, listed.modified, listed.identity) as told_otherwise,
        {COVERED.format(old="known.zone_id", new="listed.zone")} as covered
    from listed left join kiban.document as known on known.source = %(source)s and known.uri = listed.uri
), added as (
    insert into kiban.document
        (source, uri, version, sha256, size, zone_id, state, tag, url, modified, identity, due)
    select %(source)s, uri, 0, '', size, zone, 'waiting', tag, url, modified, identity, 'infinity'
    from before where id is null
), changed as (
    update kiban.document as known
    set tag = before.tag, size = before.size, state = 'waiting', since = now(), due = now(), lease = '',
        attempts = 0, deaths = 0, reason = '',
        zone_id = before.zone, url = before.url, modified = before.modified, identity = before.identity
    from before where known.id = before.id and old_tag <> before.tag
), retold as (
    update kiban.document as known
    set zone_id = before.zone, url = before.url, modified = before.modified, identity = before.identity
    from before
    where known.id = before.id and old_tag = before.tag and (old_zone <> before.zone or told_otherwise)
)
select count(*) filter (where old_state = 'ready' and old_tag = tag and old_zone = zone),
       count(*) filter (where old_zone <> zone),
       coalesce(array_agg(id) filter (where (old_tag <> tag or old_state <> 'ready') and not covered), '{{}}')
from before
"""

HELD = "source = %(source)s and state = 'waiting' and due = 'infinity'"

# By its size, or by its tag where the source says none (Git). Reading it shows whether it is the same.
ALIKE = f"""
with held as (select * from kiban.document where {HELD})
select old.uri, held.uri, held.tag, held.size, readers, held.url, held.modified, held.identity, ''
from held join kiban.zone on zone.id = held.zone_id
join kiban.document as old on old.source = held.source and old.identity = held.identity and old.id <> held.id
where held.identity <> ''
union all
select old.uri, held.uri, held.tag, held.size, readers, held.url, held.modified, held.identity, old.sha256
from held join kiban.zone on zone.id = held.zone_id
join kiban.document as old on old.source = held.source
    and (old.size = held.size or held.size = 0 and old.tag = held.tag)
where old.uri = any(%(gone)s) and old.state = 'ready'
"""

EXPIRE = """
update kiban.document
set deaths = deaths + 1, lease = '', due = now(), since = now(),
    state = case when deaths + 1 >= %(attempts)s then 'dead' else 'waiting' end,
    reason = format('its worker died %%s times', deaths + 1)
where id in (
    select id from kiban.document where source = %(source)s and state = 'reading' and due <= now()
    for update skip locked
)
returning id, state
"""

# One whose worker died may have killed it: it is lent alone, so that it takes nothing with it again.
TAKE = """
update kiban.document set state = 'reading', since = now(), lease = %(lease)s,
    due = now() + %(seconds)s * interval '1 second'
where id in (
    select id from kiban.document
    where source = %(source)s and state in ('waiting', 'failed') and due <= now()
        and (deaths > 0) = %(suspect)s
    order by due, uri limit %(count)s for update skip locked
)
"""

TAKEN = """
select uri, tag, size, readers, url, modified, identity, version,
       case when exists (select from kiban.chunk where document_id = document.id) then sha256 else '' end
from kiban.document join kiban.zone on zone.id = zone_id where lease = %s order by uri
"""

FAIL = """
update kiban.document
set attempts = attempts + 1, lease = '', deaths = 0, reason = %(reason)s, since = now(),
    state = case when attempts + 1 >= %(attempts)s then 'dead' else 'failed' end,
    due = now() + interval '1 minute' * 5 ^ attempts,
    version = version + (%(sha256)s <> '' and %(sha256)s <> sha256)::int,
    sha256 = coalesce(nullif(%(sha256)s, ''), sha256)
where source = %(source)s and uri = %(uri)s and lease = %(lease)s
returning id
"""

STATUS = """
select coalesce(source, name), surveyed, coalesce(refused, ''), coalesce(state, ''), count(source), min(since)
from kiban.document full join kiban.source on source.name = document.source
group by 1, 2, 3, 4 order by 1, 4
"""


class PostgresQueue:
    """As kiban_writer. Every call is one transaction, and raises PartUnavailable when Postgres is away."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def cursor(self, source: str) -> str:
        with self._postgres.writing() as tx:
            found = tx.execute("select cursor from kiban.source where name = %s", [source]).fetchone()
            return str(found[0]) if found else ""

    def last_surveyed(self) -> dict[str, datetime]:
        """Return when each source was last listed to the end."""
        with self._postgres.writing() as tx:
            found = tx.execute("select name, surveyed from kiban.source where surveyed is not null")
            return {str(name): surveyed for name, surveyed in found}

    def surveyed(self, source: str, cursor: str, refused: str = "") -> None:
        with self._alone(source) as tx:
            _release(tx, source)
            tx.execute(
                "insert into kiban.source (name, cursor, refused, surveyed) values (%s, %s, %s, now())"
                " on conflict (name) do update set cursor = excluded.cursor, refused = excluded.refused,"
                " surveyed = excluded.surveyed",
                [source, storable(cursor), refused],
            )

    def release(self, source: str) -> None:
        with self._alone(source) as tx:
            _release(tx, source)

    def record(self, source: str, entries: Sequence[Listed]) -> IngestReport:
        with self._alone(source) as tx:
            zones = {audience: zone_of(tx, audience) for audience in {each.audience for each in entries}}
            rows = [
                _entry(each, zones[each.audience]) for each in {each.uri: each for each in entries}.values()
            ]
            found = tx.execute(RECORD, {"source": source, "entries": Jsonb(rows)}).fetchone()
            unchanged, moved, uncovered = found or (0, 0, [])
            clear(tx, uncovered)  # what it said was never for those who may read what it will say
            return IngestReport(unchanged=unchanged, moved_audience=moved)

    def uris(self, source: str) -> set[str]:
        with self._postgres.writing() as tx:
            return {
                uri for (uri,) in tx.execute("select uri from kiban.document where source = %s", [source])
            }

    def alike(self, source: str, gone: Iterable[str]) -> list[tuple[str, Listed, str]]:
        with self._postgres.writing() as tx:
            found = tx.execute(ALIKE, {"source": source, "gone": list(gone)})
            return [(old, _listed(*entry), sha256) for old, *entry, sha256 in found]

    def rename(self, source: str, uri: str, new: str, *, same: bool) -> None:
        with self._alone(source) as tx:
            held = tx.execute(
                f"delete from kiban.document where {HELD} and uri = %(new)s"
                " returning tag, url, modified, identity, zone_id".encode(),
                {"source": source, "new": new},
            ).fetchone()
            if held is None:
                return
            tag, *told = held
            if not same:
                clear(tx, _uncovered(tx, source, uri, tag, told[-1]))
            tx.execute(
                "update kiban.document set uri = %s, url = %s, modified = %s, identity = %s, zone_id = %s"
                " where source = %s and uri = %s",
                [new, *told, source, uri],
            )
            tx.execute(
                "update kiban.document set tag = %(tag)s, since = now(), lease = '', due = now(), deaths = 0,"
                " attempts = 0, state = case when %(same)s then state else 'waiting' end"
                " where source = %(source)s and uri = %(uri)s and tag <> %(tag)s",
                {"tag": tag, "same": same, "source": source, "uri": new},
            )

    def lease(self, source: str, worker: str, count: int, seconds: float) -> Lease | None:
        lease = f"{worker} {secrets.token_hex(8)}"
        asked = {"source": source, "lease": lease, "seconds": seconds, "attempts": ATTEMPTS}
        with self._postgres.writing() as tx:
            expired = tx.execute(EXPIRE, asked).fetchall()
            clear(tx, [id for id, state in expired if state == "dead"])
            if not tx.execute(TAKE, {**asked, "count": count, "suspect": False}).rowcount:
                tx.execute(TAKE, {**asked, "count": 1, "suspect": True})
            found = tx.execute(TAKEN, [lease]).fetchall()
            leased = tuple(Leased(_listed(*entry), version, sha256) for *entry, version, sha256 in found)
            return Lease(lease, source, leased) if leased else None

    def extend(self, lease: Lease, seconds: float) -> None:
        with self._alone(lease.source) as tx:
            tx.execute(
                "update kiban.document set due = now() + %s * interval '1 second' where lease = %s",
                [seconds, lease.id],
            )

    def give_back(self, lease: Lease, *, died: bool = False) -> None:
        with self._alone(lease.source) as tx:
            tx.execute("update kiban.document set due = now() where lease = %s", [lease.id])
            if died:
                expired = tx.execute(EXPIRE, {"source": lease.source, "attempts": ATTEMPTS}).fetchall()
                clear(tx, [id for id, state in expired if state == "dead"])
            tx.execute(
                "update kiban.document set state = 'waiting', since = now(), lease = '' where lease = %s",
                [lease.id],
            )

    def fail(self, lease: Lease, file: SourceFile, reason: str) -> None:
        asked = {"source": lease.source, "uri": file.uri, "lease": lease.id, "sha256": file.sha256}
        with self._alone(lease.source) as tx:
            found = tx.execute(FAIL, {**asked, "reason": storable(reason), "attempts": ATTEMPTS})
            clear(tx, [id for (id,) in found])

    def keep(self, lease: Lease, file: SourceFile) -> None:
        with self._alone(lease.source) as tx:
            tx.execute(
                "update kiban.document set state = 'ready', since = now(), lease = '', deaths = 0,"
                " attempts = 0, reason = '' where source = %s and uri = %s and lease = %s",
                [lease.source, file.uri, lease.id],
            )

    def pending(self, source: str) -> float | None:
        with self._postgres.writing() as tx:
            found = tx.execute(
                "select extract(epoch from min(due) - now()) from kiban.document"
                " where source = %s and state in ('waiting', 'reading') and due < 'infinity'",
                [source],
            ).fetchone()
            return None if found is None or found[0] is None else max(float(found[0]), 0.0)

    def retry(self, uri: str | None) -> int:
        with self._postgres.writing() as tx:
            return tx.execute(
                "update kiban.document set state = 'waiting', since = now(), due = now(), attempts = 0,"
                " deaths = 0 where state in ('failed', 'dead') and"
                " case when %(uri)s::text is null then state = 'dead' else uri = %(uri)s end",
                {"uri": uri},
            ).rowcount

    def tombstones(self) -> list[Tombstone]:
        with self._postgres.writing() as tx:
            found = tx.execute("select source, uri, version, at, why from kiban.tombstone order by at, uri")
            return [Tombstone(*row) for row in found]

    def status(self) -> list[SourceStatus]:
        with self._postgres.writing() as tx:
            found = tx.execute(STATUS).fetchall()
            return [_status(list(rows)) for _, rows in groupby(found, key=itemgetter(0))]

    @contextmanager
    def _alone(self, source: str) -> Iterator[Connection]:
        with self._postgres.writing() as tx:
            alone(tx, source)
            yield tx


def _uncovered(tx: Connection, source: str, uri: str, tag: str, zone: int) -> list[int]:
    """Return the document, if it will say something else, and not all of its new zone could read the old."""
    covered = COVERED.format(old="zone_id", new="%s")
    found = tx.execute(
        "select id from kiban.document where source = %s and uri = %s and (tag <> %s or state <> 'ready')"
        f" and not {covered}".encode(),
        [source, uri, tag, zone],
    )
    return [id for (id,) in found]


def _release(tx: Connection, source: str) -> None:
    tx.execute(f"update kiban.document set due = now() where {HELD}".encode(), {"source": source})


def _entry(listed: Listed, zone: int) -> dict[str, object]:
    return {
        "uri": listed.uri,
        "tag": storable(listed.tag),
        "size": listed.size,
        "zone": zone,
        "url": storable(listed.url),
        "modified": listed.modified.isoformat() if listed.modified else None,
        "identity": storable(listed.identity),
    }


def _listed(
    uri: str, tag: str, size: int, readers: list[str], url: str, modified: datetime | None, identity: str
) -> Listed:
    return Listed(uri, tag, size, Audience(frozenset(readers)), url, modified, identity)


def _status(rows: list[tuple[Any, ...]]) -> SourceStatus:
    """Build from the rows of STATUS of one source."""
    source, surveyed, refused, *_ = rows[0]
    states = [(state, count, since) for *_, state, count, since in rows if state]
    return SourceStatus(
        source,
        {state: count for state, count, _ in states},
        {state: since for state, _, since in states},
        surveyed,
        refused,
    )
