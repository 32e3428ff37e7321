"""BM25 in memory (bm25s), over the terms our own tokeniser cuts."""

from __future__ import annotations

import bm25s
from speak import Load, serve


class Bm25:
    """Lucene's BM25, k1 = 1.5 and b = 0.75, as the library's documentation shows it."""

    embeds_again = False

    def __init__(self, load: Load) -> None:
        self._load = load

    def ingest(self) -> None:
        self._index = bm25s.BM25()
        self._index.index(self._load.terms, show_progress=False)

    def again(self) -> None:
        self.ingest()  # it has no other way

    def ask(self, number: int, k: int) -> list[int]:
        known = [term for term in self._load.question_terms[number] if term in self._index.vocab_dict]
        if not known:
            return []
        found, scores = self._index.retrieve([known], k=min(k, len(self._load.texts)), show_progress=False)
        return [int(chunk) for chunk, score in zip(found[0], scores[0], strict=True) if score > 0]


if __name__ == "__main__":
    serve(Bm25, "bm25s")
