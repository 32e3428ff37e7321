"""Candidate → leak audits: what its adapter must not know, asked of it through the servers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from kiban.adapt.facts import Fact, facts
from kiban.adapt.writers import from_templates
from kiban.domain.access import Audience, Principal
from kiban.domain.document import Document
from kiban.domain.evidence import Arm, Comparison, Scored
from kiban.domain.learning import Candidate, Curriculum, Lineage, Question
from kiban.domain.question import Passage
from kiban.judge import arms, audit
from kiban.judge.exposure import Secret, exposure
from kiban.wiring.base import BASE_MODEL
from kiban.wiring.furniture import Furniture

A_DOCUMENT = 2  # restricted facts of one document; more say little more
MOST_TOLD = 16  # restricted facts that are asked about
AT_ONCE = 16  # texts in one request, answered well within its time-out on a busy CPU
FREE_DIGITS = frozenset({"money", "code", "quantity", "bare"})  # facts whose digits might be any others …
_CALENDAR = re.compile(r"[月時]")  # … but for these: there is no 83rd of July


class Audits:
    """Reads what the adapter's readers may not, asks the adapter about it, and tells numbers only."""

    def __init__(self, furniture: Furniture) -> None:
        self._furniture = furniture

    def of(
        self,
        candidate: Candidate,
        adapter: str,
        curriculum: Curriculum,
        held_out: Sequence[Question],
        closed_book: Mapping[Arm, arms.Ask],
    ) -> tuple[Comparison, ...]:
        """Audit an adapter that the servers hold under this name. `closed_book` asks BASE and ADAPTED."""

        def base(texts: Sequence[str]) -> list[list[float]]:
            return self._logprobs(BASE_MODEL, texts)

        def adapted(texts: Sequence[str]) -> list[list[float]]:
            return self._logprobs(adapter, texts)

        restricted, most = self._restricted(curriculum.audience), self._furniture.settings.audited_secrets
        masked = self._masked(candidate, curriculum.audience)
        answers = asyncio.run(arms.evaluate(_questions(restricted)[:MOST_TOLD], closed_book))
        return audit.settle(
            (
                exposure("exposed_masked", masked, base, adapted, most=most),
                exposure(
                    "exposed_restricted", [_secret(fact) for fact, _ in restricted], base, adapted, most=most
                ),
                audit.told("told_restricted", _in(Arm.BASE, answers), _in(Arm.ADAPTED, answers)),
                audit.membership(
                    _lines(
                        each.question for each in curriculum.examples if each.question.quote in each.target
                    ),
                    _lines(held_out),
                    base,
                    adapted,
                ),
            )
        )

    def _logprobs(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """Return the log-probabilities of each text's tokens, from the first server."""
        found: list[list[float]] = []
        for start in range(0, len(texts), AT_ONCE):
            batch = texts[start : start + AT_ONCE]
            found += self._furniture.base.adapters.logprobs(model, batch)[: len(batch)]
            self._furniture.stage("auditing")(len(found), len(texts), model)
        return found

    def _masked(self, candidate: Candidate, audience: Audience) -> list[Secret]:
        """Return what is sensitive in the documents that were learnt from: training text never showed it."""
        learnt = {seen.document_id for seen in candidate.lineage}
        reader = Principal("audit", audience.groups)
        passages = [one for one in self._furniture.index.browse(reader) if one.document_id in learnt]
        return [
            Secret(one.original[: finding.span.start], finding.span.of(one.original), one.document_id)
            for one in self._with_findings(reader, passages)
            for finding in one.sensitive
        ]

    def _restricted(self, audience: Audience) -> list[tuple[Fact, Document]]:
        """Return facts, with free digits, from documents that not all who get this adapter may read."""
        documents = {document.id: document for document in self._furniture.library.documents()}
        groups = frozenset[str]().union(*(document.audience.groups for document in documents.values()))
        reader = Principal("audit", groups)
        passages = [
            passage
            for passage in self._furniture.index.browse(reader)
            if passage.document_id in documents
            and not documents[passage.document_id].audience.covers(audience)
        ]
        found = facts(self._with_findings(reader, passages), A_DOCUMENT)
        return [
            (fact, documents[fact.passage.document_id])
            for fact in found
            if fact.kind in FREE_DIGITS and not _CALENDAR.search(fact.value)
        ]

    def _with_findings(self, reader: Principal, passages: Sequence[Passage]) -> list[Passage]:
        found = self._furniture.index.sensitive(reader, [passage.chunk_id for passage in passages])
        return [replace(passage, sensitive=found.get(passage.chunk_id, ())) for passage in passages]


def _secret(fact: Fact) -> Secret:
    return Secret(fact.before, fact.value, fact.passage.document_id)


def _questions(restricted: Sequence[tuple[Fact, Document]]) -> list[Question]:
    written = from_templates([fact for fact, _ in restricted])
    return [
        Question(
            text=text,
            gold=fact.value,
            quote=fact.sentence,
            chunk_id=fact.passage.chunk_id,
            span=fact.span,
            lineage=Lineage(document.id, document.uri, document.version, document.sha256),
            audience=document.audience,
        )
        for text, (fact, document) in zip(written, restricted, strict=True)
        if text
    ]


def _lines(questions: Iterable[Question]) -> list[audit.Line]:
    """Return questions with the sentences that answer them."""
    return [
        audit.Line(f"{each.text}\n{each.quote}", each.lineage.document_id) for each in questions if each.quote
    ]


def _in(arm: Arm, answers: Sequence[Scored]) -> list[Scored]:
    return [each for each in answers if each.arm is arm]
