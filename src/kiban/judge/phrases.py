"""Say a comparison in words: English for logs and the ledger, Japanese for the report."""

from __future__ import annotations

from kiban.domain.evidence import Arm, Comparison, Outcome
from kiban.judge.sample_size import MOST_NEEDED

ENGLISH = {
    "correct": "Correct answers",
    "cited": "Answers with a proven quotation",
    "abstained": "Abstentions where the documents do not say",
    "over_abstained": "Abstentions although the documents say",
    "seconds": "Time per answer",
    "faster": "A tenth less time per answer than now",
    "ndcg_at_10": "Retrieval (nDCG@10)",
    "reranked_ndcg_at_10": "Retrieval, reranked (nDCG@10)",
    "reciprocal_rank": "Retrieval (MRR)",
    "overlap": "Overlap with the gold sentence (F1)",
    "exposed_masked": "Secrets masked in the curriculum: exposure",
    "exposed_restricted": "Facts the zone may not read: exposure",
    "told_restricted": "Facts the zone may not read: told",
    "membership": "Learnt text told from unseen text (AUC)",
}
JAPANESE = {
    "correct": "正しい回答",
    "cited": "根拠の引用がある回答",
    "abstained": "資料にない問いでの「記載なし」",
    "over_abstained": "答えがあるのに「記載なし」",
    "seconds": "回答時間",
    "faster": "回答時間の1割以上の短縮",
    "ndcg_at_10": "検索 (nDCG@10)",
    "reranked_ndcg_at_10": "検索の並べ替え (nDCG@10)",
    "reciprocal_rank": "検索 (MRR)",
    "overlap": "正解文との一致 (F1)",
    "exposed_masked": "伏せた秘密の露出",
    "exposed_restricted": "読めない文書の事実の露出",
    "told_restricted": "読めない文書の事実を答えた割合",
    "membership": "学習した文の見分けやすさ (AUC)",
}

LOW_IS_GOOD = frozenset({"over_abstained", "seconds", "faster"})


def english(comparison: Comparison) -> str:
    """Return one sentence: what was measured, what it means."""
    name = ENGLISH.get(comparison.measure, comparison.measure)
    if comparison.against is Arm.EVERYONE_RAG:
        name = f"Against everyone's adapter: {name[0].lower()}{name[1:]}"
    if not comparison.zone.is_everyone:
        name = f"In {comparison.zone.label}: {name[0].lower()}{name[1:]}"
    if not comparison.questions:
        return f"{name}: no such question was asked; about {comparison.needed} are needed."
    if comparison.role == "audit":
        return f"{name}: {_audited_english(comparison)}."
    levels = " → ".join(level(comparison.measure, value) for value in (comparison.old, comparison.new))
    confidence = 90 if comparison.role == "guard" else 95
    change = f"{name}: {levels} on {comparison.questions} questions"
    change = f"{change} ({confidence} % interval {spread(comparison)})"
    if comparison.outcome is Outcome.CANNOT_TELL:
        return f"{change}: too few to tell; {_more_english(comparison)}."
    if comparison.role == "guard":
        kept = "within" if comparison.outcome is Outcome.PASS else "beyond"
        return f"{change}: {kept} the allowed loss of {points(comparison.measure, comparison.margin)}."
    better = "better" if comparison.outcome is Outcome.PASS else "worse"
    return f"{change}: significantly {better}, p = {comparison.adjusted_p:.3g}."


def japanese(comparison: Comparison) -> str:
    """Return the meaning in a few words."""
    if comparison.outcome is Outcome.CANNOT_TELL:
        if comparison.needed >= MOST_NEEDED:
            return "差が見えません"
        return f"判断できません。あと約{missing(comparison):,}問必要です"
    passed = comparison.outcome is Outcome.PASS
    if comparison.role == "audit":
        return "漏れは見つかりません" if passed else "漏れが見つかりました"
    if comparison.role == "guard":
        return "許容範囲内です" if passed else "許容範囲を超えて悪化しました"
    return "良くなりました" if passed else "悪くなりました"


def missing(comparison: Comparison) -> int:
    """Return how many more questions would probably decide."""
    return max(comparison.needed - comparison.questions, 1)


def level(measure: str, value: float) -> str:
    """Format a mean: a share in per cent, time in seconds, a rank measure as it is."""
    if measure == "seconds":
        return f"{value:.2f} s"
    if measure in _BITS:
        return f"{value:.1f} bits"
    return f"{abs(value):.0%}" if measure in _SHARES else f"{value:.3f}"


def points(measure: str, value: float) -> str:
    """Format a difference: percentage points, per cent of the old time, or a rank measure's own unit."""
    if measure == "seconds":
        return f"{value * 100:.0f} %"
    return f"{value * 100:.0f} points" if measure in _SHARES else f"{value:.3f}"


def expected(comparison: Comparison) -> str:
    """Say of an audit what weights that know nothing would show."""
    usual = level(comparison.measure, comparison.old)
    if comparison.measure == "membership":
        return f"{usual}, at most {level(comparison.measure, comparison.old + comparison.margin)}"
    return f"{usual} {'by chance' if comparison.measure in _BITS else 'by the base model'}"


def spread(comparison: Comparison) -> str:
    """Format the interval of the difference; positive is better, whatever the measure."""
    factor, digits = (1, 3) if comparison.measure not in (*_SHARES, "seconds") else (100, 0)
    low, high = (
        f"{bound * factor:+.{digits}f}".replace("-", "−") for bound in (comparison.low, comparison.high)
    )
    return f"{low} … {high}"


def _audited_english(audit: Comparison) -> str:
    found = f"{level(audit.measure, audit.new)} on {audit.questions}"
    told = "no leak is shown" if audit.outcome is Outcome.PASS else "a leak"
    return f"{found} ({expected(audit)}; p = {audit.adjusted_p:.3g}): {told}"


def _more_english(comparison: Comparison) -> str:
    if comparison.needed >= MOST_NEEDED:
        return "no difference is in sight"
    return f"about {missing(comparison):,} more are needed"


_SHARES = frozenset(
    {"correct", "cited", "abstained", "over_abstained", "overlap", "told_restricted", "faster"}
)
_BITS = frozenset({"exposed_masked", "exposed_restricted"})
