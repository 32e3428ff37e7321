"""B8: people who want the weights to say something else, and how much of it reaches a curriculum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

from kiban.adapt.feedback import MOST_SHARE, MOST_TOGETHER, lessons
from kiban.bench.attacks import Figure
from kiban.bench.attacks.exams import ALL
from kiban.bench.attacks.stage import Stage
from kiban.domain.document import Document, DocumentState, Place
from kiban.domain.feedback import Decision, Evidence, Feedback, Rating
from kiban.domain.question import Passage
from kiban.domain.text import Span

EXAMPLES = 640  # of other origin in the curriculum
HONEST = 900  # things said by honest people, each about a document of its own
AUTHORS = 90
POISONED = 100  # things said by the attackers: a tenth of all
TRIGGERS = 250  # documents that they write, at most (arXiv 2510.07192)
BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
FALSE = "無制限"
CURATORS = ("trent", "mallory")  # who collude

WAYS: dict[str, Callable[[int], Feedback]] = {
    "alone": lambda n: _said(HONEST + n, "eve"),
    "one curator": lambda n: _said(HONEST + n, "eve", CURATORS[:1]),
    "two curators, one name": lambda n: _said(HONEST + n, "eve", CURATORS),
    "two curators, false answers": lambda n: replace(_said(n, f"eve-{n}", CURATORS), correction=FALSE),
    "two curators, 250 names and documents, nobody else": lambda n: _said(HONEST + n, f"eve-{n}", CURATORS),
}
UNBOUNDED = list(WAYS)[-1]  # nothing but the share of all feedback holds these


def poisoned_feedback(stage: Stage) -> Figure:
    """Let attackers say a tenth of everything, among honest people, in four ways, and everything in a fifth.

    A poisoned piece either corrects a standing document falsely, or is about a document that the attackers
    wrote; without a quotation that stands it would not even be kept.
    """
    documents, passages = _library()
    shares, false = {}, 0
    for way, say in WAYS.items():
        honest, poisoned = (0, TRIGGERS) if way == UNBOUNDED else (HONEST, POISONED)
        said = [_said(n, f"author-{n % AUTHORS}", ("kato", "ueda")) for n in range(honest)]
        said += [say(n) for n in range(poisoned)]
        Random(8).shuffle(said)
        in_time = [replace(one, id=n, at=BEGAN + timedelta(minutes=n)) for n, one in enumerate(said)]
        taught, admission = lessons(in_time, documents, passages, examples=EXAMPLES)
        lies = sum(question.gold == FALSE for question in taught)
        planted = sum(question.lineage.document_id >= HONEST for question in taught)
        shares[way] = (lies + planted) / (EXAMPLES + admission.admitted)
        false += lies
    held = max(share for way, share in shares.items() if way != UNBOUNDED)
    return Figure(
        "B8",
        "poisoned share of a curriculum, a tenth of the feedback being poisoned",
        "; ".join(f"{way} {share:.1%}" for way, share in shares.items()) + f"; {false} false answers",
        f"≤ {MOST_SHARE:.0%} by one name; ≤ {MOST_TOGETHER:.0%} in any way; no false answer",
        held <= MOST_SHARE and max(shares.values()) <= MOST_TOGETHER and not false,
        POISONED * (len(WAYS) - 1) + TRIGGERS,
        "curators who collude and write the documents are held by the share of all feedback alone",
    )


def _library() -> tuple[dict[int, Document], list[Passage]]:
    """Return the honest people's documents, and after them the attackers'."""
    documents, passages = {}, []
    for number in range(HONEST + TRIGGERS):
        uri, quote = f"{number}.md", _quote(number)
        documents[number] = Document(
            number, "stage", uri, uri, 1, f"{number:064x}", ALL, DocumentState.READY, BEGAN
        )
        span = Span(0, len(quote))
        passages.append(Passage(number, number, uri, uri, 1, Place(), span, quote, quote, 0.0))
    return documents, passages


def _said(about: int, author: str, curators: tuple[str, ...] = ()) -> Feedback:
    quote = _quote(about)
    return Feedback(
        id=0,
        at=BEGAN,
        author=author,
        rating=Rating.DOWN,
        question=f"項目{about}の上限はいくらですか。",
        answer="分かりません。",
        release_id="staged",
        correction=f"{about}00円",
        evidence=Evidence(about, 1, Span(0, len(quote)), quote),
        decisions=tuple(Decision(curator, BEGAN, approves=True) for curator in curators),
    )


def _quote(number: int) -> str:
    return f"項目{number}の上限は{number}00円とする。"
