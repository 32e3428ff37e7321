"""Documents → Zones: which of them are large enough for an adapter of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from kiban.domain.access import Audience
from kiban.domain.document import Document, DocumentState


def sizes(documents: Iterable[Document]) -> dict[Audience, int]:
    """Return how many documents can be read in each zone but everyone's and nobody's, by its readers."""
    counted = Counter(
        document.audience
        for document in documents
        if document.state is DocumentState.READY and document.audience.groups
    )
    restricted = (zone for zone in counted if not zone.is_everyone)
    return {zone: counted[zone] for zone in sorted(restricted, key=lambda zone: sorted(zone.groups))}


def large(documents: Iterable[Document], least: int) -> tuple[Audience, ...]:
    """Return the zones of at least so many documents.

    Each zone is measured by itself: a limit to how many get an adapter would let the size of one zone decide
    about another.
    """
    return tuple(zone for zone, size in sizes(documents).items() if size >= least)
