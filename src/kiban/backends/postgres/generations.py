"""The index generations, counted as they stand."""

from __future__ import annotations

from kiban.backends.postgres.connect import Postgres
from kiban.domain.generation import IndexGeneration
from kiban.errors import NoSuchGeneration

STANDING = """
select id, embedder, embedder_sha256, dimensions, tokenizer, chunking, created,
    (select count(*) from kiban.embedding where generation_id = generation.id),
    (select count(*) from kiban.chunk),
    coalesce(pg_total_relation_size(to_regclass(format('kiban.embedding_%s', id))), 0)
from kiban.generation order by id
"""


class PostgresGenerations:
    """As kiban_writer. Every call raises PartUnavailable when Postgres does not answer."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def all(self) -> list[IndexGeneration]:
        with self._postgres.writing() as tx:
            return [IndexGeneration(*row) for row in tx.execute(STANDING)]

    def one(self, id: int) -> IndexGeneration:
        """Raises NoSuchGeneration."""
        found = {generation.id: generation for generation in self.all()}
        if id not in found:
            known = ", ".join(map(str, found)) or "none"
            raise NoSuchGeneration(f"{id}; there are: {known}.", mend="kiban generations list")
        return found[id]
