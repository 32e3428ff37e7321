"""The note that travels beside weights: what they were made from, for whom, and what they are."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kiban.domain.learning import Cost, Curriculum, Stage, TrainingExample, Weights

_QUOTES = re.compile(r"\[\d+\]")  # a passage's number stands behind a quotation, and nowhere else


def write(
    name: str,
    curriculum: Curriculum,
    weights: Weights,
    cost: Cost | None = None,
    stages: Sequence[Stage] = (),
) -> str:
    """Return a model card in Markdown. It names documents, but repeats nothing of what they say; of a
    zone's it gives the numbers alone, for everybody who opens the registry sees it."""
    citing = sum(map(_cites, curriculum.examples))
    taught = sum(example.teacher.name != "" for example in curriculum.examples)
    teacher = f" Of the targets, {taught} are in the words of a teacher." if taught else ""
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
{abstaining} abstain and {general} are general; {len(curriculum.pairs)} pairs of question and \
passage.{teacher}

{_told(cost)}

Everything it has seen may be read by: {readers}. Serve it to nobody else. When one of these documents is
deleted or its readers change, the ledger withdraws these weights.

| Document | Version | sha256 |
|---|---|---|
{rows}
{_stages(stages)}"""


def _stages(stages: Sequence[Stage]) -> str:
    """Return how the curriculum came about, stage by stage."""
    if not stages:
        return ""
    rows = [f"| {one.name} | {one.given} | {one.kept} | {_rules(one)} |" for one in stages]
    return "\n".join(["", "| Stage | Given | Kept | Turned away |", "|---|---|---|---|", *rows, ""])


def _rules(stage: Stage) -> str:
    return ", ".join(f"{rule.replace('_', ' ')}: {n}" for rule, n in stage.turned_away.items() if n)


def _told(cost: Cost | None) -> str:
    if cost is None:
        return "What its training cost was not kept."
    energy = "energy unknown here" if cost.joules is None else f"{cost.joules / 3600:.1f} Wh"
    return f"Its training took {cost.seconds:.0f} s, {cost.peak_bytes / 2**30:.2f} GiB at its peak, {energy}."


def _cites(example: TrainingExample) -> bool:
    return bool(_QUOTES.search(example.target))
