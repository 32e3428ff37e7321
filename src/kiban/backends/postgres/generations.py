"""The index generations, counted as they stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from kiban.backends.postgres.connect import Postgres
from kiban.domain.generation import Cut, IndexGeneration
from kiban.errors import NoSuchGeneration

STANDING = """
with documents as materialized (
    select cut_id, count(distinct document_id) as cut, count(*) as chunks from kiban.chunk group by cut_id
), said as materialized (
    select count(distinct document_id) as said from kiban.chunk
)
select id, embedder, embedder_sha256, dimensions, tokenizer, chunking, created,
    (select count(*) from kiban.embedding where generation_id = generation.id),
    coalesce(chunks, 0),
    coalesce(pg_total_relation_size(to_regclass(format('kiban.embedding_%s', id))), 0),
    cut_id, said, said - coalesce(documents.cut, 0)
from kiban.generation left join documents using (cut_id), said order by id
"""

Found = TypeVar("Found")


class PostgresGenerations:
    """As kiban_writer. Every call raises PartUnavailable when Postgres does not answer."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def all(self) -> list[IndexGeneration]:
        with self._postgres.writing() as tx:
            return [IndexGeneration(*row) for row in tx.execute(STANDING)]

    def one(self, id: int) -> IndexGeneration:
        """Raises NoSuchGeneration."""
        return _the(id, {generation.id: generation for generation in self.all()})

    def cut_of(self, id: int) -> Cut:
        """Return how a generation is cut, which never changes. Raises NoSuchGeneration."""
        with self._postgres.reading(()) as tx:
            asked = "select id, cut_id, tokenizer, chunking from kiban.generation"
            return _the(id, {generation: Cut(*cut) for generation, *cut in tx.execute(asked)})


def _the(id: int, found: Mapping[int, Found]) -> Found:
    if id not in found:
        known = ", ".join(map(str, found)) or "none"
        raise NoSuchGeneration(f"{id}; there are: {known}.", mend="kiban generations list")
    return found[id]
