"""The record of answers: append-only and hash-chained, read by auditors and by nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from datetime import UTC, datetime

from psycopg.types.json import Jsonb

from kiban.backends.postgres.connect import Postgres
from kiban.domain.record import Answered, AnswerRecord, Ending, Shown, broken

COLUMNS = (
    "seq, at, asker, question, release_id, shown, citations, refused_quotes, ending, previous_hash, hash,"
    " milliseconds, refused_by"
)
LAST = """
select seq, hash from kiban.answer_record union all select seq, hash from kiban.answer_record_end
order by seq desc limit 1
"""
FIRST = "select hash from kiban.answer_record_end order by seq desc limit 1"
KEEP = f"insert into kiban.answer_record ({COLUMNS}) values ({', '.join(['%s'] * 13)})"
KEPT = f"""
select {COLUMNS} from kiban.answer_record
where (%(asker)s::text is null or asker = %(asker)s) and at >= %(since)s order by seq
"""
NEWEST = f"""
select {COLUMNS} from kiban.answer_record where %(before)s::bigint is null or seq < %(before)s
order by seq desc limit %(limit)s
"""
PAGE = 1000  # rows that are fetched at once
ALWAYS = datetime(1, 1, 1, tzinfo=UTC)


class PostgresRecords:
    """As kiban_writer, who may append but neither change nor take away."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def keep(self, what: Answered) -> AnswerRecord:
        """Write the next line. Writers take turns: each line is tied to the one before."""
        with self._postgres.writing() as tx:
            tx.execute("select pg_advisory_xact_lock(hashtext('kiban answers'))")
            seq, previous_hash = tx.execute(LAST).fetchone() or (0, "")
            record = AnswerRecord.following(seq + 1, previous_hash, datetime.now(UTC), what)
            shown = Jsonb([astuple(one) for one in what.shown])
            tx.execute(
                KEEP,
                [
                    record.seq, record.at, what.asker, what.question, what.release_id, shown,
                    what.citations, what.refused_quotes, what.ending.value, previous_hash, record.hash,
                    what.milliseconds, what.refused_by,
                ],
            )  # fmt: skip
            return record

    def kept(self, asker: str | None = None, since: datetime = ALWAYS) -> Iterator[AnswerRecord]:
        """Yield the lines, oldest first: all, or those of one asker, from a moment on."""
        with self._postgres.writing() as tx, tx.cursor("kept") as rows:
            rows.itersize = PAGE
            for row in rows.execute(KEPT, {"asker": asker, "since": since}):
                yield _record(*row)

    def newest(self, limit: int, before: int | None = None) -> list[AnswerRecord]:
        """Return the last lines, or the last before one, the newest first."""
        with self._postgres.writing() as tx:
            rows = tx.execute(NEWEST, {"limit": limit, "before": before})
            return [_record(*row) for row in rows]

    def verify(self) -> int | None:
        """Return the number of the first line that is not as it was written; None when all are."""
        with self._postgres.writing() as tx:
            (before,) = tx.execute(FIRST).fetchone() or ("",)
        return broken(self.kept(), before)

    def forget(self, before: datetime) -> int:
        """Let go of all lines older than a moment; return how many went."""
        with self._postgres.writing() as tx:
            (gone,) = tx.execute("select kiban.forget_answers(%s)", [before]).fetchone() or (0,)
            return int(gone)


def _record(
    seq: int,
    at: datetime,
    asker: str,
    question: str,
    release_id: str,
    shown: list[list[int]],
    citations: int,
    refused_quotes: int,
    ending: str,
    previous_hash: str,
    hash: str,
    milliseconds: int,
    refused_by: str,
) -> AnswerRecord:
    passages = tuple(Shown(*one) for one in shown)
    ended = Ending(ending)
    what = Answered(
        asker, question, release_id, passages, citations, refused_quotes, ended, milliseconds, refused_by
    )
    return AnswerRecord(seq, at.astimezone(UTC), what, previous_hash, hash)
