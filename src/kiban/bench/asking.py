"""How hard each kind of question is to find the passage of, on the documents of the house."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kiban.adapt import questions
from kiban.adapt.writers import QuestionWriter
from kiban.bench.metrics import ndcg
from kiban.bench.uncertainty import interval
from kiban.domain.learning import Question, QuestionKind
from kiban.domain.question import Passage
from kiban.wiring import House
from kiban.wiring.asking import PER_DOCUMENT
from kiban.wiring.weights import OUTSIDER

RANKED = 10


@dataclass(frozen=True, slots=True)
class KindFigures:
    """What the base embedder's search finds of one kind of question."""

    kind: QuestionKind
    written: int  # of so many facts
    facts: int
    ndcg_at_10: float
    low: float  # 95 % bootstrap interval over the questions
    high: float
    first: float  # share whose passage comes first
    found: float  # share whose passage is among the ten


def measure(house: House, writer: QuestionWriter) -> list[KindFigures]:
    """Ask about everything everyone may read in every way.

    Questions that are not found again stay in: a curriculum leaves them out, but here they are the point.
    """
    index = house.furniture.index
    passages = index.browse(OUTSIDER)
    sensitive = index.sensitive(OUTSIDER, [passage.chunk_id for passage in passages])
    passages = [replace(passage, sensitive=sensitive[passage.chunk_id]) for passage in passages]
    documents = index.documents(OUTSIDER)
    figures = []
    for kind in QuestionKind:
        asked, stage = questions.make_questions(
            passages, documents, writer=writer, find=lambda _: passages, kind=kind, per_document=PER_DOCUMENT
        )
        ranked = []
        for number, question in enumerate(asked, start=1):
            ranked.append(house.answers.find_with(house.releases.base, question.text, OUTSIDER, RANKED))
            house.furniture.progress(number, len(asked), f"ask by {kind}")
        figures.append(_figures(kind, stage.given, asked, ranked))
    return figures


def _figures(
    kind: QuestionKind, facts: int, asked: Sequence[Question], ranked: Sequence[Sequence[Passage]]
) -> KindFigures:
    gains, firsts, founds = [], [], []
    for question, found in zip(asked, ranked, strict=True):
        chunks = [str(passage.chunk_id) for passage in found]
        wanted = str(question.chunk_id)
        gains.append(ndcg(chunks, {wanted: 1.0}, RANKED))
        firsts.append(chunks[:1] == [wanted])
        founds.append(wanted in chunks)
    low, high = interval(gains)
    mean = float(np.mean(gains))
    return KindFigures(
        kind, len(asked), facts, mean, low, high, float(np.mean(firsts)), float(np.mean(founds))
    )
