"""A question that asks two things, as two questions. Rules alone: a model would cost more than the search."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kiban.domain.question import Passage

MOST = 3  # parts
_ENDED = re.compile(r"(?<=[?？。])\s*")
_JOINED = re.compile(
    r"(?<=で)、|(?<=か)、|、?(?:また|それと(?!も))、?|,?\s+and\s+(?:also\s+)?", re.IGNORECASE
)
# With か alone, "増加したか、減少したか" would be two questions, and it is one with two answers.
_ASKS = re.compile(
    r"何|なん|なに|いつ|どこ|だれ|誰|いくら|いくつ|どの|どれ|どう|なぜ|は[?？]$"
    r"|^(?:what|when|where|who|whose|which|why|how)\b",
    re.IGNORECASE,
)
_POINTS_BACK = re.compile(
    r"\b(?:it|its|they|them|their|that|those|these|this)\b|それ|その|これ|この", re.IGNORECASE
)
_DIFFERENCE = re.compile(r"^(?P<a>[^、。]{1,40}?)と(?P<b>[^、。]{1,40}?)(?:と)?の(?:違い|差|相違|比較)")
_BETWEEN = re.compile(
    r"(?:differences?|differ)\s+between\s+(?P<a>.{1,60}?)\s+and\s+(?P<b>.{1,60}?)[?.]*$", re.IGNORECASE
)
_LINKS = re.compile(r"^(?:また|それと|あと|さらに|and|also)[、,\s]+", re.IGNORECASE)


def parts(question: str) -> tuple[str, ...]:
    """Return the questions that a question is made of, 2 to MOST of them; none when it is one question.

    "AとBの違いは" and "the difference between A and B" ask about A and about B. Otherwise every part must
    ask something by itself, and say what about: "What is HAART and how does it differ?" stays whole.
    """
    compared = _DIFFERENCE.search(question) or _BETWEEN.search(question)
    if compared:
        return compared["a"].strip(), compared["b"].strip()
    asked: list[str] = []
    for sentence in filter(None, _ENDED.split(question.strip())):
        asked += _asking(sentence)
    whole = all(piece.endswith(("?", "？")) or _asks(piece) for piece in asked)
    apart = not any(map(_POINTS_BACK.search, asked))
    return tuple(asked) if 2 <= len(asked) <= MOST and whole and apart else ()


def interleave(rankings: Sequence[Sequence[Passage]]) -> list[Passage]:
    """Return the first of each ranking, then the second of each, and so on; every passage once."""
    found: dict[int, Passage] = {}
    for rank in range(max(map(len, rankings), default=0)):
        for ranking in rankings:
            if rank < len(ranking):
                found.setdefault(ranking[rank].chunk_id, ranking[rank])
    return list(found.values())


def _asking(sentence: str) -> list[str]:
    """Cut one sentence where two questions are joined; whole when a side asks nothing."""
    pieces = [_LINKS.sub("", piece.strip()) for piece in _JOINED.split(sentence) if piece.strip()]
    return pieces if len(pieces) > 1 and all(map(_asks, pieces)) else [_LINKS.sub("", sentence.strip())]


def _asks(piece: str) -> bool:
    return len(piece) > 2 and bool(_ASKS.search(piece))
