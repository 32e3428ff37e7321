"""Answer → AnswerRecord: what an auditor finds of an answer, years later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from kiban.domain.question import Passage


class Ending(StrEnum):
    ANSWERED = "answered"
    ABSTAINED = "abstained"
    REFUSED = "refused"  # by the company's policy
    FAILED = "failed"  # a part of the stack stopped answering
    LEFT = "left"  # whoever asked did not wait for the end


@dataclass(frozen=True, slots=True)
class Shown:
    """One passage the model was shown, by numbers that lead to its text for as long as that is kept."""

    document_id: int
    version: int
    chunk_id: int


@dataclass(frozen=True, slots=True)
class Answered:
    """What happened, without a word of it: who asked and what are keyed hashes."""

    asker: str  # the same for all questions of a person
    question: str  # the same for all askers of a question
    release_id: str
    shown: tuple[Shown, ...]
    citations: int  # proven quotations
    refused_quotes: int  # quotations that were not verbatim
    ending: Ending
    milliseconds: int = 0  # from the question, once it had been searched for, to the end
    refused_by: str = ""  # the rule of the company's policy that ended it

    @staticmethod
    def passages(passages: Iterable[Passage]) -> tuple[Shown, ...]:
        return tuple(Shown(each.document_id, each.version, each.chunk_id) for each in passages)


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    """One line of the append-only, hash-chained record of answers."""

    seq: int
    at: datetime
    what: Answered
    previous_hash: str
    hash: str

    @classmethod
    def following(cls, seq: int, previous_hash: str, at: datetime, what: Answered) -> AnswerRecord:
        """Return the line after one with `previous_hash`, sealed over its content and that hash.

        `at` counts to the microsecond and has a time zone.
        """
        at = at.astimezone(UTC)
        shown = [[one.document_id, one.version, one.chunk_id] for one in what.shown]
        told: list[object] = [
            what.asker,
            what.question,
            what.release_id,
            shown,
            what.citations,
            what.refused_quotes,
        ]
        told += [what.milliseconds] if what.milliseconds else []  # older lines were not timed
        told += [what.refused_by] if what.refused_by else []
        sealed = json.dumps([seq, at.isoformat(), *told, what.ending.value, previous_hash])
        return cls(seq, at, what, previous_hash, hashlib.sha256(sealed.encode()).hexdigest())


def broken(records: Iterable[AnswerRecord], previous_hash: str = "") -> int | None:
    """Return the number of the first line that was changed, dropped or moved; None when all are intact.

    `previous_hash` is that of the last line before them: "" for the beginning of the record.
    """
    expected = None
    for record in records:
        again = AnswerRecord.following(record.seq, previous_hash, record.at, record.what)
        if again != record or record.seq != (expected or record.seq):
            return record.seq
        previous_hash, expected = record.hash, record.seq + 1
    return None
