"""Score one answer to one question whose answer is known.

Every measure is strict about what a person receives: an abstention is never correct, and only a citation
that was proven verbatim counts.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from kiban.domain.evidence import Arm, Scored
from kiban.domain.learning import Question
from kiban.domain.question import Answer, Citation, Passage

RAG_ARMS = frozenset(Arm) - {Arm.BASE, Arm.ADAPTED}
_JAPANESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_UNITS = re.compile(r"\d+(?:\.\d+)*|[a-z]+|\S")  # what white space may separate, and must not split


def score(question: Question, arm: Arm, answer: Answer, seconds: float) -> Scored:
    """Score an answer on every measure that applies to its question and arm."""
    return Scored(
        question=question,
        arm=arm,
        answer=answer,
        correct=float(is_correct(question, answer)) if question.answerable else None,
        cited=float(is_cited(question, answer)) if question.answerable and arm in RAG_ARMS else None,
        abstained=None if question.answerable else float(answer.abstained),
        seconds=seconds,
    )


def is_correct(question: Question, answer: Answer) -> bool:
    """The gold value occurs in what was written, and the answer was not withheld."""
    shown = contains(answer.text, question.gold) or contains(answer.raw, question.gold)
    return shown and not answer.abstained


def is_cited(question: Question, answer: Answer) -> bool:
    """A proven quotation from the gold document holds the gold value."""

    def proves(citation: Citation) -> bool:
        from_gold = citation.passage.document_id == question.lineage.document_id
        return from_gold and contains(citation.quote, question.gold)

    return any(map(proves, answer.citations))


def over_abstained(scored: Scored) -> float | None:
    """1.0 when an answerable question was met with an abstention; None for an unanswerable one."""
    return float(scored.answer.abstained) if scored.question.answerable else None


def contains(text: str, value: str) -> bool:
    """Whether `value` occurs in `text` whatever the width, case, spacing and thousands separators.

    Numbers and Latin words match whole: "12日" occurs neither in "112日" nor in "3.12日".
    """
    units = _UNITS.findall(comparable(value))
    if not units:
        return False
    pattern = r"\s*".join(map(re.escape, units))
    before = {"0": r"(?<!\d)(?<!\d\.)", "a": r"(?<![a-z])"}.get(_kind(units[0]), "")
    after = {"0": r"(?!\d)(?!\.\d)", "a": r"(?![a-z])"}.get(_kind(units[-1]), "")
    return re.search(before + pattern + after, comparable(text)) is not None


def comparable(text: str) -> str:
    """Return the NFKC form in lower case without thousands separators."""
    return _THOUSANDS.sub("", unicodedata.normalize("NFKC", text).lower())


def _kind(unit: str) -> str:
    if unit[0].isdecimal():
        return "0"
    return "a" if "a" <= unit[0] <= "z" else ""


def overlap_f1(text: str, reference: str) -> float:
    """F1 of shared words (SQuAD, arXiv:1606.05250); of shared characters where the reference is Japanese."""
    japanese = bool(_JAPANESE.search(reference))
    ours, theirs = (Counter(_pieces(side, japanese)) for side in (text, reference))
    shared = (ours & theirs).total()
    return 2 * shared / (ours.total() + theirs.total()) if shared else 0.0


def _pieces(text: str, japanese: bool) -> list[str]:
    return re.findall(r"\w" if japanese else r"\w+", comparable(text))


def holds_answer(passage: Passage, question: Question) -> bool:
    """The passage is of the gold document and holds the sentence that answers."""
    if passage.document_id != question.lineage.document_id:
        return False
    return passage.chunk_id == question.chunk_id or comparable(question.quote) in comparable(
        passage.normalised
    )


def reciprocal_rank(question: Question, ranking: Sequence[Passage]) -> float:
    """1 / rank of the first passage that answers, 0 when none does."""
    rank = _first_rank(question, ranking)
    return 1 / rank if rank else 0.0


def ndcg_at_10(question: Question, ranking: Sequence[Passage]) -> float:
    """nDCG@10 where the first passage that answers is the one relevant result: 1 / log2(1 + rank)."""
    rank = _first_rank(question, ranking[:10])
    return 1 / math.log2(1 + rank) if rank else 0.0


def _first_rank(question: Question, ranking: Sequence[Passage]) -> int | None:
    return next((rank for rank, passage in enumerate(ranking, 1) if holds_answer(passage, question)), None)
