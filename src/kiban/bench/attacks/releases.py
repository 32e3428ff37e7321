"""B9, F4 and F6: weights that saw too much, two who promote at once, and a ledger somebody altered."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from threading import Barrier

import psycopg

from kiban.backends.embedded_postgres import EmbeddedPostgres
from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.ledger import PostgresLedger
from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.schema import migrate
from kiban.bench.attacks import Figure
from kiban.bench.attacks.stage import Stage
from kiban.domain.access import ALL, Audience
from kiban.domain.document import Document
from kiban.domain.evidence import Evaluation, Outcome, Verdict
from kiban.domain.learning import Curriculum, Lineage, TrainingPair
from kiban.domain.release import Release, ZoneAdapter
from kiban.errors import ConcurrentRelease
from kiban.release import ledger as pile
from kiban.testing import arrival

HR, LAB = Audience(frozenset({"hr"})), Audience(frozenset({"lab"}))
BASE = Release("base", None, None, None, "embedder", "e" * 64, 1, "prompt", None)
PASSED = Verdict(
    Outcome.PASS,
    ("Staged.",),
    Evaluation("staged", {}, (), 0, 0, 0.0),
    embedder_earned=True,
    adapter_earned=True,
)
TRIALS = 50
ROUNDS = 100
ALTERED = {
    "edited": "update kiban.ledger set actor = 'mallory' where seq = 2",
    "dropped": "delete from kiban.ledger where seq = 3",
    "reordered": "update kiban.ledger set seq = -seq where seq in (2, 3);"
    "update kiban.ledger set seq = 5 + seq where seq < 0",
}


def tainted_adapter(stage: Stage) -> Figure:
    """Delete a document that weights have learnt from, or narrow its readers, and see who answers next: the
    weights of everyone, or the adapter of one of two zones, go alone."""
    trials, seconds, late, lost = stage.size(TRIALS, least=6), [], 0, 0
    with empty(stage.postgres) as postgres:
        library, ledger = PostgresLibrary(postgres), PostgresLedger(postgres)
        pile.found(ledger, BASE, "stage")
        for trial in range(trials):
            readers = (ALL, HR, LAB)[trial % 3]
            others = [_promoted(library, ledger, one, f"{trial}-{one}") for one in (ALL, HR, LAB)]
            victim, learnt = next(each for each in others if each[0].audience == readers)
            arrived = arrival(victim.uri, "", readers=())
            kept = pile.in_force(ledger).curricula - {learnt}
            began = time.perf_counter()
            if trial % 2:
                library.delete("stage", [victim.uri])
            else:
                library.move_audience("stage", replace(arrived.file, audience=Audience(frozenset({"board"}))))
            left = pile.in_force(ledger).curricula
            seconds.append(time.perf_counter() - began)
            late += learnt in left
            lost += not kept <= left  # everyone's weights before may return in place of what went
            pile.withdraw(ledger, actor="stage")
            late += learnt in pile.in_force(ledger).curricula
    return Figure(
        "B9",
        "learnt document deleted or narrowed: until what saw it answers no more, everyone's or a zone's",
        f"p50 {statistics.median(seconds):.3f} s, worst {max(seconds):.3f} s; {late} still answering, "
        f"{lost} times other weights went along",
        "the next question; 0 and 0",
        late == lost == 0,
        trials,
        "from the change in the library; a source's own interval comes on top (A7)",
    )


def promotion_race(stage: Stage) -> Figure:
    """Let two people promote at the same moment, and one of them flip back."""
    rounds, doubles, flips = stage.size(ROUNDS, least=10), 0, []
    with empty(stage.postgres) as postgres, ThreadPoolExecutor(2) as people:
        ledger = PostgresLedger(postgres)
        pile.found(ledger, BASE, "stage")
        for number in range(rounds):
            seen, start = pile.last_seen(ledger), Barrier(2)
            both = [people.submit(_promote, ledger, f"{who}-{number}", seen, start) for who in ("aoi", "ken")]
            won = [name for name in (one.result() for one in both) if name]
            doubles += len(won) != 1 or pile.in_force(ledger).adapter != won[0]
            began = time.perf_counter()
            pile.rollback(ledger, actor="stage", reason="staged")
            doubles += pile.in_force(ledger) != BASE
            flips.append(time.perf_counter() - began)
        intact = ledger.verify() is None
    return Figure(
        "F4",
        "two promote at once; roll back",
        f"{doubles} double or lost champions; rollback p50 {statistics.median(flips):.3f} s, "
        f"worst {max(flips):.3f} s",
        "exactly one champion; ≤ 10 s",
        doubles == 0 and intact and max(flips) <= 10,
        rounds,
        "routing only: the adapters stay loaded",
    )


def altered_ledger(stage: Stage) -> Figure:
    """Edit, drop and reorder an entry as a superuser who switches the trigger off."""
    detected = []
    for how, statement in ALTERED.items():
        with empty(stage.postgres) as postgres:
            ledger = PostgresLedger(postgres)
            pile.found(ledger, BASE, "stage")
            for number in range(3):
                learnt = replace(
                    BASE, adapter=f"a{number}", adapter_sha256=f"a{number}", curriculum_sha256=None
                )
                pile.promote(ledger, learnt, PASSED, actor="stage", evidence="", seen=number + 1)
            assert ledger.verify() is None
            with psycopg.connect(stage.postgres.dsn("postgres"), autocommit=True) as superuser:
                superuser.execute("set session_replication_role = replica")
                superuser.execute(statement)
            if ledger.verify() is not None:
                detected.append(how)
    told = f"{len(detected)} of {len(ALTERED)} ({', '.join(detected)})"
    return Figure("F6", "an entry of the ledger altered", told, "3 of 3", len(detected) == 3, len(ALTERED))


def _promote(ledger: PostgresLedger, name: str, seen: int, start: Barrier) -> str | None:
    learnt = replace(BASE, adapter=name, adapter_sha256=name)
    start.wait()
    try:
        pile.promote(ledger, learnt, PASSED, actor=name, evidence="", seen=seen)
    except ConcurrentRelease:
        return None
    return name


def _promoted(
    library: PostgresLibrary, ledger: PostgresLedger, readers: Audience, name: str
) -> tuple[Document, str]:
    """Store a document, and release weights for its readers that have learnt from it; return it, and what
    they learnt."""
    library.put("stage", [arrival(f"{name}.md", "有給休暇は12日とする。", readers=readers.groups)], {})
    (document,) = [one for one in library.documents("stage") if one.uri == f"{name}.md"]
    seen = Lineage(document.id, document.uri, document.version, document.sha256)
    pair = TrainingPair("問い", "答え", (), (seen,), readers)
    written = Curriculum(readers, (), (pair,), "prompt", seed=document.id)
    ledger.keep_curriculum(written)
    now, groups = pile.in_force(ledger), tuple(sorted(readers.groups))
    if readers.is_everyone:
        learnt = replace(now, adapter=name, adapter_sha256=name, curriculum_sha256=written.sha256)
    else:
        learnt = now.with_zone(ZoneAdapter(groups, name, "", name, written.sha256))
    verdict = replace(PASSED, zone=readers)
    pile.promote(ledger, learnt, verdict, actor="stage", evidence="", seen=pile.last_seen(ledger))
    return document, written.sha256


@contextmanager
def empty(server: EmbeddedPostgres) -> Iterator[Postgres]:
    """Give Kiban's tables, without a row."""
    migrate(server.dsn("postgres"), server.passwords)
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as superuser:
        superuser.execute("set session_replication_role = replica")  # the ledger refuses to be emptied
        tables = superuser.execute("select tablename from pg_tables where schemaname = 'kiban'").fetchall()
        for (table,) in tables:
            superuser.execute(f"delete from kiban.{table}".encode())
    migrate(server.dsn("postgres"), server.passwords)  # its canaries
    postgres = Postgres(server.dsn("kiban_writer"), server.dsn("kiban_reader"))
    try:
        yield postgres
    finally:
        postgres.close()
