"""Passage → how far its document may be trusted to be the latest word."""

from __future__ import annotations

from datetime import datetime

from kiban.domain.access import Principal
from kiban.domain.document import Document, DocumentState
from kiban.domain.standing import Patience, Readers, Stale, Standing


def stand(
    document: Document, surveyed: datetime | None, who: Principal, now: datetime, patience: Patience
) -> Standing:
    """Return how a document stands for `who`, one of its readers. `surveyed` is when its source was last
    listed to the end; None for never. A document whose source gives no date is not called old."""
    found = {
        Stale.UNREACHED: surveyed is None or now - surveyed > patience.unreached,
        Stale.REVISED: document.state in (DocumentState.WAITING, DocumentState.READING),
        Stale.OLD: document.modified is not None and now - document.modified > patience.old,
    }
    stale = tuple(why for why, holds in found.items() if holds)
    return Standing(document, surveyed, Readers.told(document.audience, who), stale)
