"""Tell apart what drifted behind a release: the model, the retrieval or the judge.

Each is held against the first night of the release with the two others held still. The **judge** scores the
frozen answers again; the **model** answers from the frozen passages, and tonight's judge scores both its
answers, then and now; the **retrieval** is asked the frozen questions, and tonight's measure ranks both
lists of passages.

A model or a retrieval has drifted when the sign-flip test over documents, the test that earns releases,
says so after Holm's correction over the night's measures, in either direction. The frozen first night is
the yardstick, not the night before: a decline too slow to be seen from one night to the next adds up, which
is what a CUSUM chart (Page 1954, Biometrika 41) is for; and nights on which nothing changes repeat the same
comparison instead of drawing anew, so that looking every night does not raise false alarms as independent
looks would. Our judge is a function: any change of a score of the same answer is a change of the judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from statistics import fmean

from kiban.domain.drift import Drift, Frozen, FrozenExam, Night, Shift
from kiban.domain.evidence import Arm
from kiban.domain.learning import Question
from kiban.domain.question import Answer, Passage
from kiban.judge import measures, statistics
from kiban.judge.statistics import Pairs

Scores = Mapping[str, float]


def scores(question: Question, answer: Answer) -> dict[str, float]:
    """Return tonight's judgement of an answer from passages: the measures that apply."""
    scored = measures.score(question, Arm.ADAPTED_RAG, answer, 0.0)
    found = {
        "correct": scored.correct,
        "cited": scored.cited,
        "abstained": scored.abstained,
        "over_abstained": measures.over_abstained(scored),
    }
    return {measure: value for measure, value in found.items() if value is not None}


def night(
    exam: FrozenExam,
    answers: Sequence[Answer],
    rankings: Sequence[Sequence[Passage]],
    *,
    at: datetime,
    worn: int = 0,
) -> Night:
    """Compare tonight with the first night.

    `answers[i]` was written from the passages of `exam.questions[i]`, `rankings[i]` is what is found for its
    question tonight.
    """
    frozen = exam.questions
    rescored = [scores(each.question, each.answer) for each in frozen]
    again = [scores(each.question, answer) for each, answer in zip(frozen, answers, strict=True)]
    shifts = [
        *_shifts(Drift.JUDGE, frozen, [each.scores for each in frozen], rescored),
        *_shifts(Drift.MODEL, frozen, rescored, again),
        *_shifts(
            Drift.RETRIEVAL,
            frozen,
            [_ranks(each.question, each.passages) for each in frozen],
            [_ranks(each.question, found) for each, found in zip(frozen, rankings, strict=True)],
        ),
    ]
    return Night(at, exam.release_id, _settled(shifts), worn)


def _ranks(question: Question, passages: Sequence[Passage]) -> Scores:
    return {"reciprocal_rank": measures.reciprocal_rank(question, passages)} if question.answerable else {}


def _shifts(
    drift: Drift, frozen: Sequence[Frozen], then: Sequence[Scores], tonight: Sequence[Scores]
) -> list[Shift]:
    found = []
    for measure in sorted({name for each in then for name in each}):
        rows = [
            (old[measure], new[measure], each.question.lineage.document_id)
            for each, old, new in zip(frozen, then, tonight, strict=True)
            if measure in old and measure in new
        ]
        pairs = Pairs(*(list(column) for column in zip(*rows, strict=True)))
        changed = pairs.wins + pairs.losses
        p_value = float(not changed) if drift is Drift.JUDGE else statistics.sign_flip_p(pairs)
        found.append(
            Shift(
                drift,
                measure,
                fmean(pairs.old),
                fmean(pairs.new),
                len(pairs),
                changed,
                p_value,
                p_value,
                False,
            )
        )
    return found


def _settled(shifts: Sequence[Shift]) -> tuple[Shift, ...]:
    """Correct what is tested for each other; a function that changed needs no test."""
    exact = [shift for shift in shifts if shift.drift is Drift.JUDGE]
    tested = [shift for shift in shifts if shift.drift is not Drift.JUDGE]
    adjusted = statistics.holm([shift.p_value for shift in tested])
    corrected = [replace(shift, adjusted_p=p) for shift, p in zip(tested, adjusted, strict=True)]
    return tuple(replace(shift, alarm=shift.adjusted_p < statistics.ALPHA) for shift in (*corrected, *exact))
