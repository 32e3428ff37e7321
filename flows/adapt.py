"""Documents become weights, weights are judged, and only a pass changes what answers."""

from __future__ import annotations

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from kiban.domain.evidence import Outcome, Verdict
from kiban.domain.learning import Candidate, Curriculum, Weights
from kiban.wiring import house


@task(cache_policy=NO_CACHE)
def write_curriculum() -> Curriculum:
    return house().weights.write_curriculum()


@task(cache_policy=NO_CACHE)
def train_embedder(curriculum: Curriculum) -> Weights:
    return house().weights.train_embedder(curriculum)


@task(cache_policy=NO_CACHE)
def build_generation(embedder: Weights) -> int:
    return house().weights.build_generation(embedder)


@task(cache_policy=NO_CACHE)
def train_reranker(curriculum: Curriculum) -> Weights | None:
    return house().weights.train_reranker(curriculum)


@task(cache_policy=NO_CACHE)
def train_adapter(curriculum: Curriculum) -> Weights:
    return house().weights.train_adapter(curriculum)


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=5)
def register(
    curriculum: Curriculum,
    adapter: Weights,
    embedder: Weights | None = None,
    generation: int | None = None,
    reranker: Weights | None = None,
) -> Candidate:
    return house().weights.register(curriculum, adapter, embedder, generation, reranker)


@flow(name="adapt")
def adapt(then_judge: bool = True) -> str:
    """Train an embedder and an adapter on what everyone may read, and a reranker if the settings ask for one;
    register them as a candidate.

    Args:
        then_judge: Judge the candidate at once, and promote it if it passes.
    """
    curriculum = write_curriculum()
    embedder = train_embedder(curriculum)
    generation = build_generation(embedder)
    reranker = train_reranker(curriculum)
    adapter = train_adapter(curriculum)
    candidate = register(curriculum, adapter, embedder, generation, reranker)
    if then_judge:
        judge(candidate.id)
    return candidate.id


@task(cache_policy=NO_CACHE)
def propose_base() -> Candidate:
    return house().other_base.propose()


@task(cache_policy=NO_CACHE)
def evaluate(candidate: Candidate, again: bool) -> Verdict:
    return house().evidence.judge(candidate, again=again)


@task(cache_policy=NO_CACHE, retries=1, retry_delay_seconds=5)
def promote(candidate: Candidate, verdict: Verdict) -> str:
    return house().releases.promote(candidate, verdict, actor="judge flow").id


@task(cache_policy=NO_CACHE, retries=1, retry_delay_seconds=5)
def propose(candidate: Candidate, verdict: Verdict) -> str:
    return house().releases.propose(candidate, verdict, actor="judge flow").id


@flow(name="judge")
def judge(candidate_id: str | None = None, then_promote: bool = True, again: bool = False) -> Verdict:
    """Judge a candidate on held-out documents: base, base+RAG, adapted, adapted+RAG.

    Args:
        candidate_id: Which candidate; empty for the newest.
        then_promote: Release it if the verdict is "pass", or let it wait for a person if the settings say so.
        again: Ask every question again, even if this candidate was judged before.
    """
    candidate = house().weights.candidate(candidate_id)
    verdict = evaluate(candidate, again)
    reasons = "\n".join(f"- {reason}" for reason in verdict.reasons)
    create_markdown_artifact(key="verdict", markdown=f"# {candidate.id}: {verdict.outcome}\n\n{reasons}\n")
    if then_promote and verdict.outcome is Outcome.PASS:
        settle = propose if house().furniture.settings.approval else promote
        settle(candidate, verdict)
    return verdict


@flow(name="judge-base")
def judge_base(then_promote: bool = True, again: bool = False) -> Verdict:
    """Judge the other base model of the settings against what answers now, adapters and all.

    Args:
        then_promote: Release it if the verdict is "pass", or let it wait for a person if the settings say so.
        again: Ask every question again, even if the same was judged before.
    """
    verdict: Verdict = judge(propose_base().id, then_promote, again)
    return verdict
