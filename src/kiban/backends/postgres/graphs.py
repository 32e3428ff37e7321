"""A graph for each large zone: an HNSW index over that zone's vectors alone (Malkov & Yashunin 2016).

A graph through several zones lets rows decide which others a walk meets, also rows that the asker may not
read. So each graph has one audience, and whether a zone has one depends on that zone alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from kiban.backends.postgres.schema import OWNER
from kiban.errors import PartUnavailable

LARGE = """
select generation.id, dimensions, zone_id, count(*)
from kiban.embedding join kiban.generation on generation.id = generation_id
group by generation.id, zone_id having count(*) >= %(least)s
order by generation.id, zone_id
"""
# Built without stopping anybody: storing goes on, and so does taking readers away.
BUILD = """
create index concurrently embedding_{generation}_zone_{zone}_graph on kiban.embedding_{generation}
using hnsw ((vector::halfvec({dimensions})) halfvec_cosine_ops) where zone_id = {zone}
"""
# What a killed build left, or what a zone that shrank to under half no longer needs.
SUPERFLUOUS = """
select name, generation, zone from (
    select relname as name, indisvalid as whole, parts[1]::integer as generation, parts[2]::integer as zone
    from pg_index join pg_class on pg_class.oid = indexrelid,
        regexp_match(relname, '^embedding_(\\d+)_zone_(\\d+)_graph$') as parts
    where relnamespace = 'kiban'::regnamespace and parts is not null
) as graph
where not whole
    or not exists (select from kiban.graph where (generation_id, zone_id) = (generation, zone))
    or (
        select count(*) from kiban.embedding where (generation_id, zone_id) = (generation, zone)
    ) < %(least)s / 2
"""


@dataclass(frozen=True, slots=True)
class Graph:
    """A zone of a generation that is searched through a graph."""

    generation: int
    zone: int
    chunks: int


def tend(admin_dsn: str, least: int) -> list[Graph]:
    """Build the graph of every zone of `least` chunks or more that lacks one; drop what is superfluous.

    Does nothing while another does it. Returns the graphs that were built. Raises PartUnavailable.
    """
    try:
        with psycopg.connect(admin_dsn, autocommit=True, connect_timeout=10) as admin:
            if admin.execute("select pg_try_advisory_lock(hashtext('kiban graphs'))").fetchone() == (False,):
                return []
            _become_owner(admin)
            _drop_superfluous(admin, least)
            return _build(admin, least)
    except psycopg.OperationalError as error:
        raise PartUnavailable(f"Postgres: {error}".strip()) from error


def _become_owner(admin: psycopg.Connection) -> None:
    admin.execute(
        "select set_config('search_path', 'kiban, ' || quote_ident(nspname), false)"
        " from pg_extension join pg_namespace n on n.oid = extnamespace where extname = 'vector'"
    )
    admin.execute(f"set role {OWNER}")


def _drop_superfluous(admin: psycopg.Connection, least: int) -> None:
    for name, generation, zone in admin.execute(SUPERFLUOUS, {"least": least}).fetchall():
        admin.execute("delete from kiban.graph where (generation_id, zone_id) = (%s, %s)", [generation, zone])
        admin.execute(f"drop index concurrently if exists kiban.{name}".encode())


def _build(admin: psycopg.Connection, least: int) -> list[Graph]:
    known = set(admin.execute("select generation_id, zone_id from kiban.graph").fetchall())
    built = []
    for generation, dimensions, zone, chunks in admin.execute(LARGE, {"least": least}).fetchall():
        if (generation, zone) in known:
            continue
        admin.execute(BUILD.format(generation=generation, zone=zone, dimensions=dimensions).encode())
        admin.execute("insert into kiban.graph (generation_id, zone_id) values (%s, %s)", [generation, zone])
        built.append(Graph(generation, zone, chunks))
    return built
