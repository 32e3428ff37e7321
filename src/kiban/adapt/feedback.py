"""Feedback → Questions: what two curators vouch for, in measured doses."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from kiban.domain.access import ALL, Audience
from kiban.domain.document import Document
from kiban.domain.feedback import Feedback
from kiban.domain.learning import Lineage, Question, Stage
from kiban.domain.question import Passage
from kiban.domain.text import Span
from kiban.errors import NotVerbatim

MOST_SHARE = 0.01  # of all examples, from one author or about one document
MOST_TOGETHER = 0.2  # of all examples, from feedback: curators who collude have as many names as they like


@dataclass(frozen=True, slots=True)
class Admission:
    """How much feedback each rule turned away, in the order the rules are tried."""

    given: int = 0
    only_a_thumb: int = 0
    not_approved: int = 0
    not_of_the_zone: int = 0  # about a document of another zone, or that is gone
    outdated: int = 0  # the document has a new version, or no longer says so
    unproven: int = 0  # the correction does not stand in the quotation
    over_share: int = 0
    admitted: int = 0

    @property
    def stage(self) -> Stage:
        counts = asdict(self)
        return Stage("feedback", counts.pop("given"), counts.pop("admitted"), counts)


def prove(given: Feedback, passages: Sequence[Passage]) -> Feedback:
    """Return the feedback with its evidence found among the `passages` its author may read of the document.

    Raises NotVerbatim when the quotation stands in none of them.
    """
    if given.evidence is None:
        return given
    quote = given.evidence.quote
    for passage in passages:
        if quote and quote in passage.original:
            start = passage.span.start + passage.original.index(quote)
            span = Span(start, start + len(quote))
            return replace(given, evidence=replace(given.evidence, version=passage.version, span=span))
    raise NotVerbatim(f"document {given.evidence.document_id}")


def lessons(
    given: Sequence[Feedback],
    documents: Mapping[int, Document],
    passages: Sequence[Passage],
    *,
    examples: int,
    zone: Audience = ALL,
) -> tuple[tuple[Question, ...], Admission]:
    """Return the questions that may be learnt from feedback; see `admit`."""
    admitted, admission = admit(given, documents, passages, examples=examples, zone=zone)
    return tuple(question for _, question in admitted), admission


def admit(
    given: Sequence[Feedback],
    documents: Mapping[int, Document],
    passages: Sequence[Passage],
    *,
    examples: int,
    zone: Audience = ALL,
) -> tuple[tuple[tuple[Feedback, Question], ...], Admission]:
    """Return what may be learnt from feedback beside `examples` others, oldest first, and why no more.

    `documents` and `passages` are those that all members of the zone may read. Nobody, and no document,
    gives more than one in a hundred examples (at least one), and all together one in five, however many
    vouch: 250 documents were enough to plant a behaviour in models of any size (arXiv 2510.07192).
    """
    most = max(1, int(MOST_SHARE * examples))
    together = max(1, int(MOST_TOGETHER * examples / (1 - MOST_TOGETHER)))
    authors: Counter[str] = Counter()
    about: Counter[int] = Counter()
    kept: list[tuple[Feedback, Question]] = []
    turned_away: Counter[str] = Counter()
    for one in sorted(given, key=lambda feedback: (feedback.at, feedback.id)):
        passage = _passage(one, passages)
        if rule := _rule_against(one, documents, passage, zone):
            turned_away[rule] += 1
        elif len(kept) >= together or authors[one.author] >= most or about[_document_id(one)] >= most:
            turned_away["over_share"] += 1
        elif passage is not None:
            authors[one.author] += 1
            about[_document_id(one)] += 1
            kept.append((one, _question(one, documents[_document_id(one)], passage)))
    return tuple(kept), Admission(given=len(given), admitted=len(kept), **turned_away)


def _rule_against(
    one: Feedback, documents: Mapping[int, Document], passage: Passage | None, zone: Audience
) -> str:
    """Return the name of the first rule that feedback breaks; "" if it may be learnt from."""
    if one.evidence is None:
        return "only_a_thumb"
    if not one.approved:
        return "not_approved"
    document = documents.get(one.evidence.document_id)
    if document is None or not document.audience.same_zone(zone):
        return "not_of_the_zone"
    if document.version != one.evidence.version or passage is None:
        return "outdated"
    if _plain(one.correction) not in _plain(one.evidence.quote):
        return "unproven"
    return ""


def _plain(text: str) -> str:
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text)).casefold()


def _passage(one: Feedback, passages: Sequence[Passage]) -> Passage | None:
    """Return the chunk that holds the quotation today."""
    if one.evidence is None:
        return None
    for passage in passages:
        if passage.document_id == one.evidence.document_id and one.evidence.quote in passage.original:
            return passage
    return None


def _document_id(one: Feedback) -> int:
    return one.evidence.document_id if one.evidence else 0


def _question(one: Feedback, document: Document, passage: Passage) -> Question:
    assert one.evidence is not None
    return Question(
        text=one.question,
        gold=one.correction or one.evidence.quote,
        quote=one.evidence.quote,
        chunk_id=passage.chunk_id,
        span=one.evidence.span,
        lineage=Lineage(document.id, document.uri, document.version, document.sha256),
        audience=document.audience,
    )
