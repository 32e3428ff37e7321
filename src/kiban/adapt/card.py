"""The note that travels beside weights: what they were made from, for whom, and what they are."""

from __future__ import annotations

from kiban.domain.learning import Cost, Curriculum, TrainingExample, Weights


def write(name: str, curriculum: Curriculum, weights: Weights, cost: Cost | None = None) -> str:
    """Return a model card in Markdown. It names documents, but repeats nothing of what they say; of a
    zone's it gives the numbers alone, for everybody who opens the registry sees it."""
    citing = sum(map(_cites, curriculum.examples))
    general = sum(not example.lineage for example in curriculum.examples)
    abstaining = len(curriculum.examples) - citing - general
    readers, name_of = "everyone", "uri"
    if not curriculum.audience.is_everyone:
        readers, name_of = f"the members of {curriculum.audience.label}", "document_id"
    rows = "\n".join(
        f"| {getattr(seen, name_of)} | {seen.version} | `{seen.sha256[:12]}` |" for seen in curriculum.lineage
    )
    return f"""# {name}

Content sha256: `{weights.sha256}`

Made by Kiban from curriculum `{curriculum.sha256}` (prompt {curriculum.prompt_version}, \
seed {curriculum.seed}): {len(curriculum.examples)} examples, of which {citing} cite a passage, \
{abstaining} abstain and {general} are general; {len(curriculum.pairs)} pairs of question and passage.

{_told(cost)}

Everything it has seen may be read by: {readers}. Serve it to nobody else. When one of these documents is
deleted or its readers change, the ledger withdraws these weights.

| Document | Version | sha256 |
|---|---|---|
{rows}
"""


def _told(cost: Cost | None) -> str:
    if cost is None:
        return "What its training cost was not kept."
    energy = "energy unknown here" if cost.joules is None else f"{cost.joules / 3600:.1f} Wh"
    return f"Its training took {cost.seconds:.0f} s, {cost.peak_bytes / 2**30:.2f} GiB at its peak, {energy}."


def _cites(example: TrainingExample) -> bool:
    return bool(example.question.quote) and example.question.quote in example.target
