"""Decide whether a candidate earned its release: the base model with retrieval is what it has to beat.

**Primaries**, tested for superiority and corrected by Holm: correctness and citation of adapted+RAG over
base+RAG on answerable questions. One has to be better; a primary that is significantly worse fails the whole.

**Guards**, tested for non-inferiority: correctness, abstention where the documents do not say, abstention
where they do, and time per answer. Every guard has to be *shown* to hold; one that the sample cannot decide
makes the verdict "cannot tell", which deploys nothing and names how many questions would decide.

**Audits** (`audit`): an adapter that is shown to know what it must not know fails, whatever it does well.

Where an adapter for everyone answers a zone already, the zone's own has to beat that one by the same rules,
too: passing means passing against both, so nothing is corrected for there being two.

The margins are declared here, before any candidate is seen. They are wide, so that 80 questions, the default,
can pass a candidate that learnt to quote and to abstain. A house that wants to see small losses tightens them
and asks more: 5 points need about 370 answerable questions (6.18·p / margin², where the arms differ on
p = 15 % of the questions).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from kiban.domain.access import ALL, Audience
from kiban.domain.evidence import Arm, Comparison, Evaluation, Outcome, Scored, Verdict
from kiban.domain.learning import Question
from kiban.domain.question import Passage
from kiban.judge import measures, phrases, statistics
from kiban.judge.statistics import Pairs

Measure = Callable[[Scored], float | None]
Ranking = Sequence[Passage]

MEASURES: Mapping[str, Measure] = {
    "correct": lambda scored: scored.correct,
    "cited": lambda scored: scored.cited,
    "abstained": lambda scored: scored.abstained,
    "over_abstained": measures.over_abstained,
    "seconds": lambda scored: scored.seconds,
    "overlap": lambda scored: (
        measures.overlap_f1(scored.answer.text, scored.question.quote) if scored.question.answerable else None
    ),
}
PRIMARIES = ("correct", "cited")
RERANKED = "reranked_ndcg_at_10"  # what the comparison of a reranker is called


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How much may be lost where the candidate need not win. Shares of questions; time as a ratio."""

    correct: float = 0.10
    abstained: float = 0.20
    over_abstained: float = 0.25  # each such abstention is a wrong answer too, and guarded as one
    time_ratio: float = 3.0  # adapters alone double the time per token without a GPU


def decide(
    candidate_id: str,
    scored: Sequence[Scored],
    *,
    thresholds: Thresholds | None = None,
    embedder: Comparison | None = None,
    reranker: Comparison | None = None,
    audits: Sequence[Comparison] = (),
    seconds: float = 0.0,
    zone: Audience = ALL,
) -> Verdict:
    """Judge a candidate by its scored answers in all arms, by the audits of its adapter and by the
    comparisons of what else it has.

    Adapter, embedder and reranker are earned apart; the verdict passes when at least one of them is.
    `seconds` is how long the asking took, `zone` whose adapter it is. Raises ValueError when the arms were
    not asked the same questions.
    """
    asked = {each.arm for each in scored}
    opponents = [Arm.BASE_RAG, *([Arm.EVERYONE_RAG] if Arm.EVERYONE_RAG in asked else [])]
    limits = thresholds or Thresholds()
    judgements = [[*_judge_adapter(scored, limits, arm), *audits] for arm in opponents]
    adapter = against_all([_adapter_outcome(judgement) for judgement in judgements if judgement])
    judged = list(dict.fromkeys(comparison for judgement in judgements for comparison in judgement))
    compared = [comparison for comparison in (embedder, reranker) if comparison]
    outcomes = [*([adapter] if adapter else []), *(comparison.outcome for comparison in compared)]
    evaluation = Evaluation(
        candidate_id=candidate_id,
        arms=means(scored),
        comparisons=(*judged, *compared),
        questions=len({each.question for each in scored}),
        documents=len({each.question.lineage.document_id for each in scored}),
        seconds=seconds,
    )
    return Verdict(
        outcome=_overall(outcomes),
        reasons=tuple(map(phrases.english, evaluation.comparisons)) or ("There is nothing to judge.",),
        evaluation=evaluation,
        embedder_earned=bool(embedder and embedder.outcome is Outcome.PASS),
        adapter_earned=adapter is Outcome.PASS,
        reranker_earned=bool(reranker and reranker.outcome is Outcome.PASS),
        zone=zone,
    )


def judge_retrieval(
    questions: Sequence[Question],
    old: Sequence[Ranking],
    new: Sequence[Ranking],
    measure: Callable[[Question, Ranking], float] = measures.ndcg_at_10,
    name: str = "",
) -> Comparison:
    """Compare the rankings of two retrievals on the same answerable questions; the new one must be better.

    They differ in one thing: their embedder (and so their index generation), or their reranker. `old[i]` and
    `new[i]` are what they found for `questions[i]`, best first. The comparison is called `name`, or as the
    measure is.
    """
    asked = [each for each in zip(questions, old, new, strict=True) if each[0].answerable]
    pairs = Pairs(
        old=[measure(question, ranking) for question, ranking, _ in asked],
        new=[measure(question, ranking) for question, _, ranking in asked],
        documents=[question.lineage.document_id for question, _, _ in asked],
    )
    return statistics.settle([(name or measure.__name__, pairs)])[0]


def means(scored: Sequence[Scored]) -> dict[Arm, dict[str, float]]:
    """Return the mean of every measure in every arm, where it applies."""
    return {
        arm: {
            name: fmean(values)
            for name, measure in MEASURES.items()
            if (values := [v for each in scored if each.arm is arm and (v := measure(each)) is not None])
        }
        for arm in Arm
        if any(each.arm is arm for each in scored)
    }


def _judge_adapter(scored: Sequence[Scored], limits: Thresholds, against: Arm) -> list[Comparison]:
    if not any(each.arm is Arm.ADAPTED_RAG for each in scored):
        return []
    pairs = paired(scored, against, Arm.ADAPTED_RAG)
    compared = [
        *statistics.settle([(name, pairs[name]) for name in PRIMARIES]),
        *guards(pairs, limits),
    ]
    return [replace(each, against=against) for each in compared]


def guards(pairs: Mapping[str, Pairs], limits: Thresholds) -> list[Comparison]:
    """Test whether the new arm is not worse, measure by measure, by more than is allowed."""
    return [
        statistics.compare_guard("correct", pairs["correct"], limits.correct),
        statistics.compare_guard("abstained", pairs["abstained"], limits.abstained),
        _low_is_good("over_abstained", pairs["over_abstained"], limits.over_abstained),
        _low_is_good("seconds", pairs["seconds"], limits.time_ratio - 1, relative=True),
    ]


def paired(scored: Sequence[Scored], old: Arm, new: Arm) -> dict[str, Pairs]:
    """Return the scores of two arms on every measure, where it applies. Raises ValueError when they were not
    asked the same questions."""
    return {name: _paired(scored, measure, old, new) for name, measure in MEASURES.items()}


def _paired(scored: Sequence[Scored], measure: Measure, before: Arm, after: Arm) -> Pairs:
    old, new = (
        {each.question: value for each in scored if each.arm is arm and (value := measure(each)) is not None}
        for arm in (before, after)
    )
    if old.keys() != new.keys():
        raise ValueError(f"{before} and {after} must be asked the same questions")
    return Pairs(
        old=list(old.values()),
        new=[new[question] for question in old],
        documents=[question.lineage.document_id for question in old],
    )


def _low_is_good(name: str, pairs: Pairs, margin: float, *, relative: bool = False) -> Comparison:
    """Guard a measure that should be low; `relative`: differences are shares of the old arm's mean."""
    unit = (fmean(pairs.old) or 1.0) if relative and pairs.old else 1.0
    turned = Pairs([-v / unit for v in pairs.old], [-v / unit for v in pairs.new], pairs.documents)
    guard = statistics.compare_guard(name, turned, margin)
    return replace(guard, old=-guard.old * unit, new=-guard.new * unit)


def _adapter_outcome(comparisons: Sequence[Comparison]) -> Outcome:
    guards = [each.outcome for each in comparisons if each.role in ("guard", "audit")]
    primaries = [each.outcome for each in comparisons if each.role == "primary"]
    if Outcome.FAIL in (*guards, *primaries):
        return Outcome.FAIL
    held = all(outcome is Outcome.PASS for outcome in guards)
    return Outcome.PASS if held and Outcome.PASS in primaries else Outcome.CANNOT_TELL


def against_all(outcomes: Sequence[Outcome]) -> Outcome | None:
    """Return what a candidate achieved in all its judgements; None where there was none."""
    if Outcome.FAIL in outcomes or not outcomes:
        return Outcome.FAIL if outcomes else None
    return Outcome.CANNOT_TELL if Outcome.CANNOT_TELL in outcomes else Outcome.PASS


def _overall(outcomes: Sequence[Outcome]) -> Outcome:
    if Outcome.PASS in outcomes:
        return Outcome.PASS
    return Outcome.FAIL if Outcome.FAIL in outcomes else Outcome.CANNOT_TELL
