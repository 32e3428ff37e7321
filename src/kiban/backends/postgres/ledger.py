"""ports.Ledger: append-only and hash-chained, in Postgres."""

from __future__ import annotations

import json
from dataclasses import asdict, astuple
from datetime import UTC, datetime

import psycopg
from psycopg.types.json import Jsonb
from pydantic import TypeAdapter

from kiban.backends.postgres.connect import Connection, Postgres
from kiban.domain.learning import Curriculum
from kiban.domain.release import Action, LedgerEntry, Release, tampered
from kiban.errors import ConcurrentRelease, NoSuchRelease, ReleaseError

ENTRIES = """
select seq, at, actor, action, release_id, reason, evidence, previous_hash, hash, share
from kiban.ledger order by seq
"""


class PostgresLedger:
    """As kiban_writer, who may append to the ledger but neither change nor take away."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._known: dict[str, Release] = {}  # a release never changes: its id is its content's hash

    def entries(self) -> list[LedgerEntry]:
        with self._postgres.writing() as tx:
            return _entries(tx)

    def release(self, release_id: str) -> Release:
        if release_id not in self._known:
            with self._postgres.writing() as tx:
                self._known[release_id] = _release(tx, release_id)
        return self._known[release_id]

    def keep_release(self, release: Release) -> None:
        if release.id not in self._known:
            with self._postgres.writing() as tx:
                _keep(tx, release)
            self._known[release.id] = release

    def append(
        self,
        *,
        after: int,
        actor: str,
        action: Action,
        release: Release,
        reason: str,
        evidence: str,
        share: int = 100,
    ) -> LedgerEntry:
        with self._postgres.writing() as tx:
            entries = _entries(tx)
            if len(entries) != after:
                raise ConcurrentRelease(f"Entry {after + 1} is not the next one.", mend="kiban history")
            entry = LedgerEntry.following(
                entries[-1] if entries else None,
                at=datetime.now(UTC),
                actor=actor,
                action=action,
                release_id=release.id,
                reason=reason,
                evidence=evidence,
                share=share,
            )
            _keep(tx, release)
            try:
                tx.execute(
                    "insert into kiban.ledger (seq, at, actor, action, release_id, reason, evidence,"
                    " previous_hash, hash, share) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                    [getattr(value, "value", value) for value in astuple(entry)],
                )
            except psycopg.errors.UniqueViolation as error:
                raise ConcurrentRelease(f"Someone wrote entry {entry.seq} first.") from error
            return entry

    def tainted(self) -> dict[str, tuple[str, ...]]:
        with self._postgres.writing() as tx:
            return {
                curriculum: tuple(uris)
                for curriculum, uris in tx.execute(
                    "select curriculum_sha256, array_agg(uri order by uri) from kiban.tainted_curriculum"
                    " group by curriculum_sha256"
                )
            }

    def learnt_from(self, document_id: int) -> list[tuple[str, int]]:
        """Return (curriculum's sha256, version of the document) of all that saw it, the oldest first."""
        with self._postgres.writing() as tx:
            found = tx.execute(
                "select sha256, version from kiban.curriculum join"
                " (select curriculum_sha256, version from kiban.lineage where document_id = %s) as seen"
                " on sha256 = curriculum_sha256 order by created",
                [document_id],
            )
            return [(str(sha256), int(version)) for sha256, version in found]

    def keep_curriculum(self, curriculum: Curriculum) -> None:
        sha256 = curriculum.sha256
        content = json.loads(json.dumps(asdict(curriculum), default=sorted))
        with self._postgres.writing() as tx:
            kept = tx.execute(
                "insert into kiban.curriculum (sha256, audience, prompt_version, examples)"
                " values (%s, %s, %s, %s) on conflict (sha256) do nothing",
                [sha256, sorted(curriculum.audience.groups), curriculum.prompt_version, Jsonb(content)],
            )
            if kept.rowcount:
                tx.cursor().executemany(
                    "insert into kiban.lineage (curriculum_sha256, document_id, uri, version, sha256)"
                    " values (%s, %s, %s, %s, %s)",
                    [(sha256, *astuple(seen)) for seen in curriculum.lineage],
                )

    def verify(self) -> int | None:
        """Return the first entry that is not as it was written, nor its release; None if all are."""
        with self._postgres.writing() as tx:
            entries = _entries(tx)
            broken = tampered(entries)
            for entry in entries[: broken and broken - 1]:
                try:
                    _release(tx, entry.release_id)
                except ReleaseError:
                    return entry.seq
        return broken


def _entries(tx: Connection) -> list[LedgerEntry]:
    return [
        LedgerEntry(seq, at.astimezone(UTC), actor, Action(action), *rest)
        for seq, at, actor, action, *rest in tx.execute(ENTRIES)
    ]


def _keep(tx: Connection, release: Release) -> None:
    tx.execute(
        "insert into kiban.release (id, content, curriculum_sha256) values (%s, %s, %s)"
        " on conflict (id) do nothing",
        [release.id, Jsonb(asdict(release)), release.curriculum_sha256],
    )


def _release(tx: Connection, release_id: str) -> Release:
    found = tx.execute("select content from kiban.release where id = %s", [release_id]).fetchone()
    if found is None:
        raise NoSuchRelease(release_id)
    release = TypeAdapter(Release).validate_python(found[0])
    if release.id != release_id:
        raise ReleaseError(f"Release {release_id} was altered in the database.")
    return release
