"""Passages without secrets and personal data: what training text is made of, and the last check of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from kiban.domain.learning import Curriculum, Scrubbed, TrainingExample, TrainingPair
from kiban.domain.question import Passage
from kiban.domain.sensitive import Finding, mask
from kiban.errors import SecretsLeft

Find = Callable[[str], Sequence[Finding]]  # the detector's findings in a text


def masked(passage: Passage, find: Find) -> Passage:
    """Return a passage as it may be learnt: its text by what was found when it was stored, its title and
    heading by what is found now."""
    original = mask(passage.original, passage.sensitive)
    heading = mask(passage.place.heading, find(passage.place.heading))
    return replace(
        passage,
        title=mask(passage.title, find(passage.title)),
        place=replace(passage.place, heading=heading),
        original=original,
        normalised=unicodedata.normalize("NFKC", original),
    )


def record(passages: Iterable[Passage]) -> tuple[Scrubbed, ...]:
    """Return what `masked` took out of the text of each passage, for the audit."""
    return tuple(Scrubbed(passage.chunk_id, passage.sensitive) for passage in passages if passage.sensitive)


def is_clean(texts: Iterable[str], find: Find) -> bool:
    return not any(find(text) for text in texts)


def require_clean(curriculum: Curriculum, find: Find) -> None:
    """Raise SecretsLeft if a detector finds anything in what a trainer will see."""
    for example in curriculum.examples:
        _require(texts_of_example(example), example.question.lineage.uri, find)
    for preference in curriculum.preferences:
        texts = (*(turn.text for turn in preference.prompt), preference.answer)
        _require(texts, ", ".join(document.uri for document in preference.lineage), find)
    for piece in curriculum.texts:
        _require((piece.text,), ", ".join(document.uri for document in piece.lineage), find)
    for pair in curriculum.pairs:
        _require(texts_of_pair(pair), ", ".join(document.uri for document in pair.lineage), find)


def texts_of_example(example: TrainingExample) -> tuple[str, ...]:
    return (*(turn.text for turn in example.prompt), example.target)


def texts_of_pair(pair: TrainingPair) -> tuple[str, ...]:
    return (pair.question, pair.passage, *pair.negatives)


def _require(texts: Iterable[str], uri: str, find: Find) -> None:
    for text in texts:
        if found := find(text):
            kinds = ", ".join(sorted({finding.kind.value for finding in found}))
            raise SecretsLeft(f"{uri}: {kinds}.", mend="ingest again, then: kiban adapt")
