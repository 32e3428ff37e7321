"""ports.FeedbackBox: what people say of answers, kept as long as the documents it is about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kiban.backends.postgres.connect import Connection, Postgres
from kiban.backends.postgres.copying import storable
from kiban.domain.access import EVERYONE, Principal
from kiban.domain.feedback import Decision, Evidence, Feedback, Rating
from kiban.domain.text import Span
from kiban.errors import NoSuchFeedback

KEEP = """
insert into kiban.feedback (
    author, rating, question, answer, release_id, correction, comment,
    document_id, version, span_start, span_end, quote
) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning id
"""
GIVEN = """
select id, at, author, rating, question, answer, release_id, correction, comment,
       document_id, version, span_start, span_end, quote
from kiban.feedback
"""
DECISIONS = """
select feedback_id, curator, at, approves, reason from kiban.decision
where feedback_id = any(%s) order by at, curator
"""
DECIDE = """
insert into kiban.decision (feedback_id, curator, approves, reason) values (%s, %s, %s, %s)
on conflict (feedback_id, curator) do update
    set approves = excluded.approves, reason = excluded.reason, at = now()
"""


class PostgresFeedback:
    """Kept as kiban_writer. A curator reads as kiban_reader: only what is about documents they may read."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def keep(self, given: Feedback) -> int:
        """Keep feedback and return its number; `id`, `at` and `decisions` of `given` do not count."""
        proof = given.evidence
        values: list[Any] = [
            given.author, given.rating.value, *map(storable, (given.question, given.answer)),
            given.release_id, *map(storable, (given.correction, given.comment)),
            *((proof.document_id, proof.version, proof.span.start, proof.span.end, storable(proof.quote))
              if proof else (None,) * 5),
        ]  # fmt: skip
        with self._postgres.writing() as tx:
            found = tx.execute(KEEP, values).fetchone()
            assert found is not None
            return int(found[0])

    def visible(self, who: Principal) -> list[Feedback]:
        """Return what is about documents `who` may read, newest first."""
        with self._postgres.reading(who.groups | {EVERYONE}) as tx:
            return _given(tx, f"{GIVEN} where document_id is not null order by at desc, id desc")

    def all(self) -> list[Feedback]:
        """Return everything, oldest first, for the one who writes curricula."""
        with self._postgres.writing() as tx:
            return _given(tx, f"{GIVEN} order by at, id")

    def decide(self, feedback_id: int, who: Principal, approves: bool, reason: str) -> Feedback:
        """Note what a curator says; a second word of the same curator replaces the first.

        Raises NoSuchFeedback for what is not there for `who`.
        """
        with self._postgres.reading(who.groups | {EVERYONE}) as tx:
            if tx.execute("select from kiban.feedback where id = %s", [feedback_id]).rowcount == 0:
                raise NoSuchFeedback(str(feedback_id))
        with self._postgres.writing() as tx:
            tx.execute(DECIDE, [feedback_id, who.subject, approves, storable(reason)])
            (decided,) = _given(tx, f"{GIVEN} where id = {int(feedback_id)}")
            return decided


def _given(tx: Connection, asked: str) -> list[Feedback]:
    rows = tx.execute(asked.encode()).fetchall()
    decisions = _decisions(tx, [row[0] for row in rows])
    return [_feedback(*row, decisions=decisions.get(row[0], ())) for row in rows]


def _decisions(tx: Connection, ids: Iterable[int]) -> dict[int, tuple[Decision, ...]]:
    found: dict[int, tuple[Decision, ...]] = {}
    for feedback_id, *said in tx.execute(DECISIONS, [list(ids)]):
        found[feedback_id] = (*found.get(feedback_id, ()), Decision(*said))
    return found


def _feedback(
    id: int,
    at: Any,
    author: str,
    rating: str,
    question: str,
    answer: str,
    release_id: str,
    correction: str,
    comment: str,
    document_id: int | None,
    version: int,
    start: int,
    end: int,
    quote: str,
    *,
    decisions: tuple[Decision, ...],
) -> Feedback:
    """Build from a row of GIVEN."""
    proof = None if document_id is None else Evidence(document_id, version, Span(start, end), quote)
    return Feedback(
        id, at, author, Rating(rating), question, answer, release_id, correction, comment, proof, decisions
    )
