"""Question → Passages, for one principal."""

from __future__ import annotations

from collections.abc import Sequence

from kiban.domain.access import Principal
from kiban.domain.question import EVERYTHING, Passage, Scope
from kiban.ports import Embedder, SearchIndex, Tokenizer
from kiban.retrieve.fuse import explain, fuse
from kiban.retrieve.plan import Lane, lane
from kiban.retrieve.rerank import Reranking, rerank

DENSE, LEXICAL = "dense", "lexical"
LANES = (DENSE, LEXICAL)
WEIGHTS = {DENSE: 0.5, LEXICAL: 0.5}  # measured: on no set is the mixture worse than the better of the two
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
    reranking: Reranking | None = None,
) -> list[Passage]:
    """Return what answers the question best among what `who` may read and `scope` holds, best first.

    With one lane the score is that lane's own: the cosine (dense) or BM25 (lexical). With both it is a
    weighted mean of the two, and of the reranker's if there is one, 0..1, which compares passages of one
    question only.
    """
    rankings = {}
    depth = max(limit, DEPTH)
    if DENSE in lanes:
        exact = lane(index.visible_chunks(who, scope), exact_limit) is Lane.EXACT
        vector = embedder.query(question)
        rankings[DENSE] = index.nearest(who, vector, generation, depth, exact=exact, scope=scope)
    if LEXICAL in lanes:
        rankings[LEXICAL] = index.matching(who, tokenizer.terms(question), depth, scope=scope)
    if len(rankings) == 1:
        (only,) = rankings.values()
        return explain(only[:limit], rankings)
    found = fuse(list(rankings.values()), [WEIGHTS[name] for name in rankings])
    if reranking:
        found = rerank(question, found, reranking)
    return explain(found[:limit], rankings)
