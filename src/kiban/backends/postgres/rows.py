"""How stored rows become our words."""

from __future__ import annotations

from datetime import datetime

from kiban.domain.access import Audience
from kiban.domain.document import Document, DocumentState, Place
from kiban.domain.question import Passage
from kiban.domain.text import Span

DOCUMENTS = """
select document.id, source, uri, title, version, sha256, readers, state, since, reason, attempts,
       tag, url, modified, identity, due
from kiban.document join kiban.zone on zone.id = zone_id
"""

PASSAGES = """
select chunk.id, document.id, uri, title, version, page, sheet, slide, heading, anchor,
       span_start, span_end,
       original, normalised, hit.score, url, modified
from hit join kiban.chunk on chunk.id = hit.chunk_id join kiban.document on document.id = chunk.document_id
"""


def document(
    id: int,
    source: str,
    uri: str,
    title: str,
    version: int,
    sha256: str,
    readers: list[str],
    state: str,
    since: datetime,
    reason: str,
    attempts: int,
    tag: str,
    url: str,
    modified: datetime | None,
    identity: str,
    due: datetime,
) -> Document:
    """Build from a row of DOCUMENTS."""
    return Document(
        id,
        source,
        uri,
        title,
        version,
        sha256,
        Audience(frozenset(readers)),
        DocumentState(state),
        since,
        reason,
        attempts,
        tag,
        url,
        modified,
        identity,
        None if state in (DocumentState.READY, DocumentState.DEAD) else due,
    )


def passage(
    chunk_id: int,
    document_id: int,
    uri: str,
    title: str,
    version: int,
    page: int | None,
    sheet: str | None,
    slide: int | None,
    heading: str,
    anchor: str,
    start: int,
    end: int,
    original: str,
    normalised: str,
    score: float,
    url: str,
    modified: datetime | None,
) -> Passage:
    """Build from a row of PASSAGES."""
    return Passage(
        chunk_id,
        document_id,
        uri,
        title,
        version,
        Place(page, sheet, slide, heading, anchor),
        Span(start, end),
        original,
        normalised,
        float(score),
        url,
        modified=modified,
    )
