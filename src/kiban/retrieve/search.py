"""Question → Passages, for one principal."""

from __future__ import annotations

from collections.abc import Sequence

from kiban.domain.access import Principal
from kiban.domain.question import Passage
from kiban.ports import Embedder, SearchIndex, Tokenizer
from kiban.retrieve.fuse import explain, fuse
from kiban.retrieve.plan import Lane, lane

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
) -> list[Passage]:
    """Return what answers the question best among what `who` may read, best first.

    With one lane the score is that lane's own: the cosine (dense) or BM25 (lexical). With both it is a
    weighted mean of the two, 0..1, which compares passages of one question only.
    """
    rankings = {}
    depth = max(limit, DEPTH)
    if DENSE in lanes:
        exact = lane(index.visible_chunks(who), exact_limit) is Lane.EXACT
        rankings[DENSE] = index.nearest(who, embedder.query(question), generation, depth, exact=exact)
    if LEXICAL in lanes:
        rankings[LEXICAL] = index.matching(who, tokenizer.terms(question), depth)
    if len(rankings) == 1:
        (only,) = rankings.values()
        return explain(only[:limit], rankings)
    fused = fuse(list(rankings.values()), [WEIGHTS[name] for name in rankings])
    return explain(fused[:limit], rankings)
