"""What `kiban bench adapt` tells: every arm and every comparison, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kiban.domain.evidence import Arm, Comparison, Scored
from kiban.domain.learning import Question
from kiban.judge import statistics, verdict


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over questions, with its 95 % interval clustered by document."""

    mean: float
    low: float
    high: float
    questions: int


@dataclass(frozen=True, slots=True)
class Gain:
    """One way to teach the embedder: nDCG@10 with it against without it."""

    recipe: str
    home: Comparison  # of what people are shown
    home_dense: Comparison  # of the embedder's lane alone
    outside: Comparison | None
    outside_dense: Comparison | None


@dataclass(frozen=True, slots=True)
class AdaptFigures:
    """One adaptation, judged."""

    train: str
    judged_on: str
    outside: Comparison | None  # the adapted embedder on a third corpus, where it must not lose
    embedder: Comparison | None
    reranker_outside: Comparison | None
    reranker: Comparison | None  # what the general embedder finds, read again
    arms: dict[Arm, dict[str, Mean]]
    comparisons: tuple[Comparison, ...]
    outcome: str
    reasons: tuple[str, ...]
    seconds: dict[str, float]
    made_with: dict[str, str]
    gains: tuple[Gain, ...] = ()  # by recipe; `embedder` and `outside` are of the first


def means(scored: Sequence[Scored]) -> dict[Arm, dict[str, Mean]]:
    """Return every measure's mean in every arm, with its interval."""
    figures: dict[Arm, dict[str, Mean]] = {}
    for arm in dict.fromkeys(one.arm for one in scored):
        of_arm = [one for one in scored if one.arm is arm]
        figures[arm] = {
            name: found for name, measure in verdict.MEASURES.items() if (found := _mean(of_arm, measure))
        }
    return figures


def _mean(scored: Sequence[Scored], measure: verdict.Measure) -> Mean | None:
    values: Mapping[Question, float] = {
        one.question: value for one in scored if (value := measure(one)) is not None
    }
    if not values:
        return None
    array = np.array(list(values.values()))
    documents = [question.lineage.document_id for question in values]
    low, high = statistics.interval(array, documents, level=0.95)
    return Mean(float(array.mean()), low, high, len(array))
