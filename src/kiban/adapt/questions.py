"""Passages → Questions: a fact, asked about in words, and kept only if it can be trained on and judged by."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

from kiban.adapt.facts import Fact, facts
from kiban.adapt.overlap import Overlap
from kiban.adapt.writers import QuestionWriter
from kiban.domain.access import ALL, Audience
from kiban.domain.document import Document
from kiban.domain.learning import Author, Lineage, Question, QuestionKind, Stage
from kiban.domain.question import Passage
from kiban.errors import MixedAudience

Find = Callable[[str], Sequence[Passage]]

LENGTHS = {kind: range(8, 121) for kind in QuestionKind} | {QuestionKind.KEYWORD: range(4, 61)}  # characters
NEARLY = 0.9  # share of what two questions have in common that makes them one
CONTAMINATED = 0.8  # share of a question that one to be judged by holds


def make_questions(
    passages: Sequence[Passage],
    documents: Iterable[Document],
    *,
    writer: QuestionWriter,
    find: Find,
    kind: QuestionKind = QuestionKind.QUESTION,
    per_document: int = 6,
    zone: Audience = ALL,
) -> tuple[tuple[Question, ...], Stage]:
    """Return questions of one kind about the documents of a zone, and what was turned away, by rule.

    `passages` must have been read as its members (Principal.members), so that Postgres itself kept other
    text out; `documents` are theirs. `find` returns the passages the retriever would show for a question.
    Raises MixedAudience if a passage is of another zone all the same.
    """
    by_id = {document.id: document for document in documents}
    _require_zone(passages, by_id, zone)
    found = facts(passages, per_document)
    sieve = _Sieve(find)
    for fact, text in zip(found, writer.write(found, kind), strict=True):
        sieve.take(_question(fact, text.strip(), kind, writer.author, by_id[fact.passage.document_id]), fact)
    return tuple(sieve.kept), Stage(f"{kind}s written", len(found), len(sieve.kept), sieve.turned_away)


def decontaminate(
    learnt: Sequence[Question], judging: Mapping[str, Iterable[str]]
) -> tuple[tuple[Question, ...], Stage]:
    """Leave out what resembles a text to be judged by: its question, or the sentence it was made from.

    `judging` holds the texts of each evaluation set by its name: questions, and quotations where known.
    """
    sets = {name: Overlap(texts) for name, texts in judging.items()}
    kept, turned_away = [], Counter[str]()
    for question in learnt:
        seen = (question.text, question.quote)
        guilty = [
            name for name, texts in sets.items() if any(texts.contains(text, CONTAMINATED) for text in seen)
        ]
        if guilty:
            turned_away[f"in {guilty[0]}"] += 1
        else:
            kept.append(question)
    return tuple(kept), Stage("decontaminated", len(learnt), len(kept), turned_away)


def split(
    questions: Sequence[Question],
    held_out_share: float,
    seed: int,
    per_document: int = 6,
    newer: frozenset[str] = frozenset(),
) -> tuple[tuple[Question, ...], tuple[Question, ...]]:
    """Return (to learn from, to judge by). No document is in both, and a document stays on its side.

    Documents in `newer`, by uri, are all held out: a split by time on top of the one by document.
    Both go around the documents, so that any first n questions cover as many documents as possible.
    """
    documents: dict[str, list[Question]] = {}
    for question in questions:
        documents.setdefault(question.lineage.uri, []).append(question)
    ordered = sorted(documents, key=lambda uri: _draw(seed, uri))
    held_out = [uri for uri in ordered if uri in newer or _draw(seed, uri) < held_out_share]
    learnt = [uri for uri in ordered if uri not in held_out]

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


def _question(fact: Fact, text: str, kind: QuestionKind, author: Author, document: Document) -> Question:
    return Question(
        text=text,
        gold=fact.value,
        quote=fact.sentence,
        chunk_id=fact.passage.chunk_id,
        span=fact.span,
        lineage=Lineage(document.id, document.uri, document.version, document.sha256),
        audience=document.audience,
        kind=kind,
        author=author,
    )


class _Sieve:
    """Keeps what breaks no rule, and counts the rest by the first rule it breaks."""

    def __init__(self, find: Find) -> None:
        self.kept: list[Question] = []
        self.turned_away = Counter[str]()
        self._find = find
        self._texts: set[str] = set()
        self._overlap = Overlap()

    def take(self, question: Question, fact: Fact) -> None:
        if rule := self._rule_against(question, fact):
            self.turned_away[rule] += 1
            return
        self.kept.append(question)
        self._texts.add(question.text)
        self._overlap.add(question.text)

    def _rule_against(self, question: Question, fact: Fact) -> str:
        bare = re.sub(r"\s", "", question.gold).casefold()
        if not question.text:
            return "unwritten"
        if len(question.text) not in LENGTHS[question.kind]:
            return "too_short_or_long"
        if bare in re.sub(r"\s", "", question.text).casefold():
            return "gives_value_away"
        if question.quote not in fact.passage.original or question.gold not in question.quote:
            return "not_verbatim"
        if question.text in self._texts:
            return "duplicate"
        if self._overlap.resembles(question.text, NEARLY):
            return "near_duplicate"
        if question.chunk_id not in {passage.chunk_id for passage in self._find(question.text)}:
            return "not_found_again"
        return ""
