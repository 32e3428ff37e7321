"""F1, F2 and A7: workers killed while they ingest, Postgres cut off, and a reader who is one no more."""

from __future__ import annotations

import random
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.schema import READER, WRITER, dsn_as, migrate
from kiban.backends.postgres.search import PostgresDirectory, PostgresSearch
from kiban.backends.sources.folder import FolderSource
from kiban.backends.sources.readers import PEOPLE, READERS
from kiban.bench.attacks import Figure
from kiban.bench.attacks.ingest_worker import ingest, reading
from kiban.bench.attacks.stage import Stage
from kiban.domain.access import Principal
from kiban.errors import PartUnavailable
from kiban.ingest.survey import follow_people, survey
from kiban.testing import HashEmbedder
from kiban.testing.proxy import CuttingProxy

TRIALS = 50
DOCUMENTS = 40
WORKER = "kiban.bench.attacks.ingest_worker"
PERSON = "tanaka"

# All that is stored of a source, without serial ids, times and tags.
ROWS = """
select uri, title, version, document.sha256, size, readers, state, reason, attempts, ordinal, span_start,
       span_end, original, normalised, chunk.length, vector::text,
       (select array_agg((term, frequency)::text order by term) from kiban.posting where chunk_id = chunk.id)
from kiban.document join kiban.zone on zone.id = document.zone_id
left join kiban.chunk on document_id = document.id
left join kiban.embedding on embedding.chunk_id = chunk.id
where source = %s order by uri, ordinal
"""


@dataclass(frozen=True)
class Bench:
    """A database, and a folder to ingest into it under one name a trial."""

    admin: str
    writer: str
    reader: str
    postgres: Postgres
    generation: int
    folder: Path

    def rows(self, name: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.admin) as admin:
            return admin.execute(ROWS, [name]).fetchall()

    def ingest(self, name: str) -> None:
        ingest(self.folder, name, reading(self.postgres, self.generation))


def killed_worker(stage: Stage) -> Figure:
    """Kill a worker at a random point, ingest again, and compare with a run that nobody killed."""
    trials, seed = stage.size(TRIALS, least=5), secrets.randbelow(10**6)
    dice = random.Random(seed)
    with _bench(stage.postgres) as bench:
        bench.ingest("clean")
        clean = bench.rows("clean")
        span = _work(bench, "timed", None)
        amid = different = 0
        for trial in range(trials):
            name = f"trial {trial}"
            _work(bench, name, dice.uniform(0, span))
            amid += bench.rows(name) != clean
            bench.ingest(name)
            different += bench.rows(name) != clean
    return Figure(
        "F1",
        "ingest worker killed with SIGKILL at a random point, then run again",
        f"{different} of {trials} differ from a clean run ({len(clean)} rows each)",
        "0 differ",
        different == 0,
        trials,
        f"seed {seed}; {amid} were killed before they had finished",
    )


def postgres_cut(stage: Stage) -> Figure:
    """Cut the connection after a random number of bytes, look for half documents, and ingest again."""
    trials, seed = stage.size(TRIALS, least=5), secrets.randbelow(10**6)
    dice = random.Random(seed)
    with _bench(stage.postgres) as bench:
        bench.ingest("clean")
        clean = bench.rows("clean")
        address = psycopg.conninfo.conninfo_to_dict(bench.writer)
        proxy = CuttingProxy(str(address["host"]), int(address["port"] or 5432))
        half = different = cut = 0
        try:
            _through(bench, proxy, "whole")
            total = proxy.sent
            for trial in range(trials):
                name = f"trial {trial}"
                proxy.cut_after(dice.randrange(total))
                cut += _through(bench, proxy, name)
                half += not _only_whole(bench.rows(name), clean)
                _through(bench, proxy, name)
                different += bench.rows(name) != clean
        finally:
            proxy.close()
    return Figure(
        "F2",
        "connection to Postgres cut after a random number of bytes, then run again",
        f"{half} half documents visible, {different} of {trials} differ from a clean run",
        "0 visible, 0 differ",
        half == different == 0,
        trials,
        f"seed {seed}; {total:,} bytes a run; {cut} runs ended by the cut",
    )


def revoked_reader(stage: Stage) -> Figure:
    """Take a person out of a group, or a group off a folder, and see when nothing is found any more."""
    trials, seconds, still = stage.size(TRIALS, least=4), [], 0
    with _bench(stage.postgres) as bench:
        source = FolderSource("files", bench.folder, 10**6)
        library, queue = (made := reading(bench.postgres, bench.generation)).library, made.queue
        search, directory = PostgresSearch(bench.postgres), PostgresDirectory(bench.postgres)
        for trial in range(trials):
            (bench.folder / PEOPLE).write_text(f"{PERSON}: [hr]\n")
            (bench.folder / READERS).write_text("readers: [hr]\n")
            ingest(bench.folder, source.name, made)
            assert search.visible_chunks(Principal(PERSON, directory.groups_of(PERSON)))
            began = time.perf_counter()
            if trial % 2:
                (bench.folder / READERS).write_text("readers: [board]\n")
                survey(source, library, queue)
            else:
                (bench.folder / PEOPLE).write_text(f"{PERSON}: []\n")
                follow_people(source, library)
            still += search.visible_chunks(Principal(PERSON, directory.groups_of(PERSON))) > 0
            seconds.append(time.perf_counter() - began)
    centiles = statistics.quantiles(seconds, n=100, method="inclusive")
    return Figure(
        "A7",
        "person out of the group, or group off the folder: until nothing is found",
        f"p50 {centiles[49]:.3f} s, p99 {centiles[98]:.3f} s; {still} still found",
        "seconds; 0 still found",
        still == 0 and centiles[98] < 5,
        trials,
        f"{DOCUMENTS} documents; the flow looks at a folder's rules every 2 s, which comes on top",
    )


@contextmanager
def _bench(server: EmbeddedPostgres) -> Iterator[Bench]:
    name = f"ingest_{secrets.token_hex(4)}"
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute(f"create database {name}".encode())
    here = psycopg.conninfo.make_conninfo(server.dsn("postgres"), dbname=name)
    migrate(here, server.passwords)
    writer, reader = (dsn_as(here, role, server.passwords[role]) for role in (WRITER, READER))
    postgres = Postgres(writer, reader)
    try:
        with tempfile.TemporaryDirectory(prefix="kiban-attacks-") as folder:
            _write(Path(folder))
            library = reading(postgres, 0).library
            generation = library.add_generation(  # type: ignore[attr-defined]
                "hash", "0" * 64, HashEmbedder().dimensions, "words-1", "plain"
            )
            yield Bench(here, writer, reader, postgres, generation, Path(folder))
    finally:
        postgres.close()


def _write(folder: Path) -> None:
    (folder / READERS).write_text("readers: [everyone]\n")
    for number in range(DOCUMENTS):
        paragraphs = (
            f"第{number}条の{part} 旅費は{number * part}円を上限とする。Limit {part}."
            for part in range(1, 30)
        )
        (folder / f"{number}.txt").write_text("\n\n".join(paragraphs), "utf-8")


def _work(bench: Bench, name: str, kill_after: float | None) -> float:
    """Run a worker in a process; kill it so many seconds after it has begun. Returns how long it worked."""
    arguments = [str(bench.folder), name, bench.writer, bench.reader, str(bench.generation)]
    with subprocess.Popen([sys.executable, "-m", WORKER, *arguments], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        began = time.monotonic()
        if kill_after is None:
            worker.stdout.readline()
        else:
            time.sleep(kill_after)
            worker.kill()
        return time.monotonic() - began


def _through(bench: Bench, proxy: CuttingProxy, name: str) -> bool:
    """Ingest by way of the proxy, and tell whether that was cut off."""
    dsns = (
        psycopg.conninfo.make_conninfo(dsn, host="127.0.0.1", port=proxy.port)
        for dsn in (bench.writer, bench.reader)
    )
    postgres = Postgres(*dsns, connections=2)
    try:
        ingest(bench.folder, name, reading(postgres, bench.generation))
    except PartUnavailable:
        return True
    finally:
        postgres.close()
    return False


def _only_whole(found: list[tuple[Any, ...]], clean: list[tuple[Any, ...]]) -> bool:
    """Tell whether every document that says anything says all it does after a clean run."""
    by_uri: dict[str, list[tuple[Any, ...]]] = {}
    for row in found:
        if row[9] is not None:  # ordinal
            by_uri.setdefault(row[0], []).append(row)
    return all(rows == [row for row in clean if row[0] == uri] for uri, rows in by_uri.items())
