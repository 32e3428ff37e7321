"""A table in SQLite and in Postgres."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from kiban.backends.sources.sql import SqlSource
from source_places import PlainGroups

QUERY = "select a.id, a.title, a.body, a.updated, f.readers from article a left join folder f using (folder)"


class TablePlace(PlainGroups):
    keeps_versions = False
    changes_in_place = True

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = create_engine(url, poolclass=NullPool)
        self._clock = 0
        self.run("drop table if exists article")
        self.run("drop table if exists folder")
        self.run("create table folder (folder varchar(99) primary key, readers varchar(99))")
        self.run(
            "create table article (id varchar(99) primary key, folder varchar(99), title varchar(99),"
            " body text, updated int)"
        )

    def run(self, statement: str, **values: object) -> None:
        with self._engine.begin() as connection:
            connection.execute(text(statement), values)

    def readers(self, folder: str, *groups: str) -> None:
        self.run("delete from folder where folder = :folder", folder=folder)
        self.run("insert into folder values (:folder, :groups)", folder=folder, groups=", ".join(groups))
        self._clock += 1
        self.run("update article set updated = :now where folder = :folder", now=self._clock, folder=folder)

    def write(self, name: str, body: str) -> None:
        self._clock += 1
        self.remove(name)
        folder, _, title = name.partition("/")
        values = {"id": name, "folder": folder, "title": title, "body": body, "now": self._clock}
        self.run("insert into article values (:id, :folder, :title, :body, :now)", **values)

    def remove(self, name: str) -> None:
        self.run("delete from article where id = :id", id=name)

    def uri(self, name: str) -> str:
        return f"{name}.md"

    def source(self, kept: Path, max_bytes: int = 100_000) -> SqlSource:
        return SqlSource("table", self.url, QUERY, max_bytes)

    def unreachable(self, kept: Path) -> SqlSource:
        url = (
            "sqlite:////nowhere/at/all.db"
            if self.url.startswith("sqlite")
            else "postgresql+psycopg://127.0.0.1:9/x"
        )
        return SqlSource("table", url, QUERY, 1, seconds=5)
