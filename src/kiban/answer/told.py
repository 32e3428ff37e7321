"""An answer as plain text, for places that show nothing else: its sources stand below it."""

from __future__ import annotations

from kiban.answer.harmless import harmless
from kiban.answer.prompt import language, place_words
from kiban.answer.wording import WORDINGS
from kiban.domain.question import Answer

CUT = "…"


def as_text(answer: Answer, question: str, longest: int) -> str:
    """Return at most `longest` characters: the text, and cited passages by number, title and place."""
    tongue = language(question)
    cited = {citation.number: citation.passage for citation in answer.citations}
    lines = [
        f"[{number}] {passage.title}"
        + (f" ({place})" if (place := place_words(passage.place, tongue)) else "")
        for number, passage in sorted(cited.items())
    ]
    sources = harmless("\n".join(["", "", WORDINGS[tongue].sources, *lines])) if lines else ""
    room = max(longest - len(sources), 0)
    text = answer.text if len(answer.text) <= room else answer.text[: room - len(CUT)] + CUT
    return (text + sources)[:longest]
