"""Passages → Questions: a fact, asked about in words, and kept only if it can be trained on and judged by."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from kiban.adapt.facts import Fact, facts
from kiban.domain.access import ALL, Audience
from kiban.domain.document import Document
from kiban.domain.learning import Lineage, Question
from kiban.domain.question import Passage
from kiban.errors import MixedAudience

QuestionWriter = Callable[[Sequence[Fact]], Sequence[str]]  # one question per fact, "" for none
Find = Callable[[str], Sequence[Passage]]

QUESTION_LENGTHS = range(8, 121)  # characters


@dataclass(frozen=True, slots=True)
class Sieve:
    """How many questions each rule turned away, in the order the rules are tried."""

    facts: int = 0
    unwritten: int = 0
    too_short_or_long: int = 0
    gives_value_away: int = 0
    not_verbatim: int = 0
    duplicate: int = 0
    not_found_again: int = 0
    kept: int = 0


def make_questions(
    passages: Sequence[Passage],
    documents: Iterable[Document],
    *,
    write: QuestionWriter,
    find: Find,
    per_document: int = 6,
    zone: Audience = ALL,
) -> tuple[tuple[Question, ...], Sieve]:
    """Return questions about the documents of a zone, and what was turned away.

    `passages` must have been read as its members (Principal.members), so that Postgres itself kept other
    text out; `documents` are theirs. `find` returns the passages the retriever would show for a question.
    Raises MixedAudience if a passage is of another zone all the same.
    """
    by_id = {document.id: document for document in documents}
    _require_zone(passages, by_id, zone)
    found = facts(passages, per_document)
    kept: dict[str, Question] = {}
    turned_away: list[str] = []
    for fact, text in zip(found, write(found), strict=True):
        question = _question(fact, text.strip(), by_id[fact.passage.document_id])
        if rule := _rule_against(question, fact, kept, find):
            turned_away.append(rule)
        else:
            kept[question.text] = question
    counts = {rule: turned_away.count(rule) for rule in turned_away}
    return tuple(kept.values()), Sieve(facts=len(found), kept=len(kept), **counts)


def split(
    questions: Sequence[Question], held_out_share: float, seed: int, per_document: int = 6
) -> tuple[tuple[Question, ...], tuple[Question, ...]]:
    """Return (to learn from, to judge by). No document is in both, and a document stays on its side.

    Both go around the documents, so that any first n questions cover as many documents as possible.
    """
    documents: dict[str, list[Question]] = {}
    for question in questions:
        documents.setdefault(question.lineage.uri, []).append(question)
    ordered = sorted(documents, key=lambda uri: _draw(seed, uri))
    held_out = [uri for uri in ordered if _draw(seed, uri) < held_out_share]
    learnt = [uri for uri in ordered if _draw(seed, uri) >= held_out_share]

    def around(uris: Sequence[str]) -> tuple[Question, ...]:
        layers = zip_longest(*(documents[uri][:per_document] for uri in uris))
        return tuple(question for layer in layers for question in layer if question is not None)

    return around(learnt), around(held_out)


def unanswerable(questions: Iterable[Question]) -> tuple[Question, ...]:
    """Return the same questions for a reader from whom their documents are withheld: nothing is right."""
    return tuple(replace(question, gold="", quote="") for question in questions)


def _draw(seed: int, uri: str) -> float:
    """Return a number in [0, 1) that depends on nothing else."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{uri}".encode()).digest()[:8]) / 2**64


def _require_zone(passages: Iterable[Passage], documents: Mapping[int, Document], zone: Audience) -> None:
    for passage in passages:
        document = documents.get(passage.document_id)
        if document is None or not document.audience.same_zone(zone):
            raise MixedAudience(f"{passage.uri} is not of the zone of {zone}.")


def _question(fact: Fact, text: str, document: Document) -> Question:
    return Question(
        text=text,
        gold=fact.value,
        quote=fact.sentence,
        chunk_id=fact.passage.chunk_id,
        span=fact.span,
        lineage=Lineage(document.id, document.uri, document.version, document.sha256),
        audience=document.audience,
    )


def _rule_against(question: Question, fact: Fact, kept: Mapping[str, Question], find: Find) -> str:
    """Return the name of the first rule that a question breaks; "" if it may stay."""
    bare = re.sub(r"\s", "", question.gold).casefold()
    if not question.text:
        return "unwritten"
    if len(question.text) not in QUESTION_LENGTHS:
        return "too_short_or_long"
    if bare in re.sub(r"\s", "", question.text).casefold():
        return "gives_value_away"
    if question.quote not in fact.passage.original or question.gold not in question.quote:
        return "not_verbatim"
    if question.text in kept:
        return "duplicate"
    if question.chunk_id not in {passage.chunk_id for passage in find(question.text)}:
        return "not_found_again"
    return ""
