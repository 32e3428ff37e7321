"""Question → Passages, for one principal: understand → lanes → fuse → dates → rerank → cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from kiban.domain.access import Principal
from kiban.domain.course import step
from kiban.domain.question import EVERYTHING, Passage, Scope, Synonyms, Turn
from kiban.ports import Embedder, PictureEmbedder, SearchIndex, Tokenizer
from kiban.retrieve import dated, decompose, rewrite, synonyms
from kiban.retrieve.fuse import explain, fuse
from kiban.retrieve.plan import Lane, lane
from kiban.retrieve.rerank import Reranking, rerank

DENSE, LEXICAL, PICTURES = "dense", "lexical", "pictures"
LANES = (DENSE, LEXICAL)
EVERY_LANE = (*LANES, PICTURES)  # pictures only when asked for
# Measured for the first two: on no set is the mixture worse than the better of them. Pictures: not measured.
WEIGHTS = {DENSE: 0.5, LEXICAL: 0.5, PICTURES: 0.5}
NO_SYNONYMS = Synonyms()
DEPTH = 100  # passages each ranking gives to the fusion


def find(
    question: str,
    who: Principal,
    *,
    index: SearchIndex,
    tokenizer: Tokenizer,
    embedder: Embedder,
    generation: int,
    limit: int = 4,
    exact_limit: int = 20_000,
    lanes: Sequence[str] = LANES,
    scope: Scope = EVERYTHING,
    history: Sequence[Turn] = (),
    known: Synonyms = NO_SYNONYMS,
    reranking: Reranking | None = None,
    picture_embedder: PictureEmbedder | None = None,
    today: date | None = None,
) -> list[Passage]:
    """Return what answers the question best among what `who` may read and `scope` holds, best first.

    With one lane and one way to read the question the score is that lane's own: the cosine (dense, pictures)
    or BM25 (lexical). Otherwise it is a weighted mean of all rankings, and of the reranker's if there is one,
    0..1, which compares passages of one question only. What the lane of pictures finds are the passages that
    the pictures stand beside; it needs `picture_embedder`. Of a question in two parts, the best for the whole
    and for each part come in turns, and so their scores need not fall. With `today`, documents of the days
    that a question asks for come first among what several rankings found.
    """
    exact = lane(index.visible_chunks(who, scope), exact_limit) is Lane.EXACT if DENSE in lanes else True
    depth = max(limit, DEPTH)

    def rank(text: str) -> Iterator[tuple[str, list[Passage]]]:
        if DENSE in lanes:
            with step("lane", lane=DENSE, exact=exact):
                vector = embedder.query(text)
                found = index.nearest(who, vector, generation, depth, exact=exact, scope=scope)
            yield DENSE, found
        if LEXICAL in lanes:
            with step("lane", lane=LEXICAL):
                found = index.matching(who, tokenizer.terms(text), depth, scope=scope)
            yield LEXICAL, found
        if PICTURES in lanes and picture_embedder is not None:
            with step("lane", lane=PICTURES):
                seen = picture_embedder.query(text)
                found = index.pictured(who, seen, picture_embedder.sha256, depth, scope=scope)
            yield PICTURES, found

    found = []
    for part in (question, *decompose.parts(question)):
        with step("rewrite"):
            readings = list(read(part, history, known))
        rankings = {reading.of(name): ranking for reading in readings for name, ranking in rank(reading.text)}
        weights = [
            reading.weight * WEIGHTS[name] for reading in readings for name in EVERY_LANE if name in lanes
        ]
        days = today and len(rankings) > 1 and (dated.asked(part, today) or dated.asked(question, today))
        # Passages beyond the reranker's budget keep their order among themselves.
        kept = max(limit, 1) + (reranking.passages if reranking else 0)
        passages = _fused(rankings, weights, None if days else kept)
        if days:
            passages = dated.prefer(passages, days)[:kept]
        if reranking:
            with step("rerank", passages=reranking.passages):
                passages = rerank(part, passages, reranking)
        found.append(explain(passages[: max(limit, 1)], rankings))
    return decompose.interleave(found)[:limit]


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a question, and how much it counts."""

    text: str
    weight: float
    why: str = ""  # what is read into it

    def of(self, lane: str) -> str:
        return f"{lane}, {self.why}" if self.why else lane


def read(question: str, history: Sequence[Turn], known: Synonyms) -> Iterator[Reading]:
    """Yield the question as asked, and what it may mean besides: the weights sum up to 1."""
    others = []
    if text := rewrite.in_context(question, history):
        others.append(Reading(text, rewrite.WEIGHT, "in context"))
    if text := synonyms.spelt_out(question, known):
        others.append(Reading(text, synonyms.WEIGHT, "spelt out"))
    yield Reading(question, 1 - sum(other.weight for other in others))
    yield from others


def _fused(
    rankings: Mapping[str, Sequence[Passage]], weights: Sequence[float], limit: int | None
) -> list[Passage]:
    if len(rankings) == 1:
        (only,) = rankings.values()
        return list(only)
    total = sum(weights)
    return fuse(list(rankings.values()), [weight / total for weight in weights], limit)
