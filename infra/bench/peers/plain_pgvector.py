"""pgvector as its README shows it: one table, one HNSW index, no permissions."""

from __future__ import annotations

import psycopg
from pgvector.psycopg import register_vector
from speak import Load, serve


class PlainPgvector:
    """Rows by binary COPY, the index afterwards; ef_search follows k, as it must to return k rows."""

    embeds_again = True

    def __init__(self, load: Load) -> None:
        self._load = load
        self._connection = psycopg.connect(load.dsn, autocommit=True)
        self._connection.execute("create extension if not exists vector")
        register_vector(self._connection)

    def ingest(self) -> None:
        dimensions = self._load.vectors.shape[1]
        run = self._connection.execute
        run(f"create table item (id bigint primary key, content text, embedding vector({dimensions}))")
        self._copy("item")
        run("create index on item using hnsw (embedding vector_cosine_ops)")
        run("analyze item")

    def again(self) -> None:
        with self._connection.transaction():
            self._connection.execute("create temporary table again (like item) on commit drop")
            self._copy("again")
            self._connection.execute("insert into item select * from again on conflict (id) do nothing")

    def ask(self, number: int, k: int) -> list[int]:
        vector = self._load.question_vectors[number]
        with self._connection.transaction():
            self._connection.execute(f"set local hnsw.ef_search = {max(40, k)}")
            found = self._connection.execute(
                "select id from item order by embedding <=> %s limit %s", [vector, k]
            )
            return [id for (id,) in found]

    def _copy(self, table: str) -> None:
        with self._connection.cursor().copy(f"copy {table} from stdin (format binary)") as copy:
            copy.set_types(["int8", "text", "vector"])
            for row in zip(range(len(self._load.texts)), self._load.texts, self._load.vectors, strict=True):
                copy.write_row(row)


if __name__ == "__main__":
    serve(PlainPgvector, "pgvector", "psycopg")
