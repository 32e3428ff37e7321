"""Documents → texts to be read as they stand, before anything is asked about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from kiban.adapt import scrub
from kiban.domain.document import Document
from kiban.domain.learning import Lineage, Stage, TrainingText
from kiban.domain.question import Passage

SHORTEST = 40  # characters; a heading alone teaches nothing


def texts(
    passages: Sequence[Passage],
    documents: Mapping[int, Document],
    judged_by: Collection[int],
    sensitive: scrub.Find,
) -> tuple[tuple[TrainingText, ...], Stage]:
    """Return what may be read, each with the document it is of; nothing of documents that are judged by, and
    nothing with a secret left in it."""
    kept: list[TrainingText] = []
    turned_away: Counter[str] = Counter()
    for passage in passages:
        masked = scrub.masked(passage, sensitive)
        if passage.document_id in judged_by:
            turned_away["judged_by"] += 1
        elif len(masked.normalised) < SHORTEST:
            turned_away["too_short"] += 1
        elif not scrub.is_clean((masked.normalised,), sensitive):
            turned_away["not_clean"] += 1
        else:
            document = documents[passage.document_id]
            seen = Lineage(document.id, document.uri, document.version, document.sha256)
            taken_out = scrub.record((passage,))
            kept.append(TrainingText(masked.normalised, (seen,), document.audience, taken_out))
    return tuple(kept), Stage("texts", len(passages), len(kept), turned_away)
