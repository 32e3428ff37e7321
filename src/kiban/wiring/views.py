"""What stands beside an answer: how fresh its documents are, what their pages look like, and what a question
can be narrowed to."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

from kiban.domain.access import Principal
from kiban.domain.document import Document, Listed
from kiban.domain.question import Choices, Passage
from kiban.domain.standing import Patience, Standing
from kiban.domain.text import Span
from kiban.errors import GoneMeanwhile, UnsupportedFormat
from kiban.retrieve.standing import stand
from kiban.wiring.furniture import Furniture
from kiban.wiring.policy import Policing


class Views:
    """What the chat page shows besides the answer itself, each to whom it may be shown."""

    def __init__(self, furniture: Furniture) -> None:
        self._furniture = furniture
        self._policing = Policing(furniture)

    def standing(self, ids: Sequence[int], who: Principal) -> list[Standing]:
        """Return how those of these documents stand that `who` may read."""
        settings = self._furniture.settings
        patience = Patience(timedelta(hours=settings.unreached_hours), timedelta(days=settings.old_days))
        surveyed, now = self._furniture.queue.last_surveyed(), datetime.now(UTC)
        found = self._furniture.index.documents(who, ids)
        return [stand(one, surveyed.get(one.source), who, now, patience) for one in found]

    def choices(self, who: Principal) -> Choices:
        """Return the sources, folders and formats of what `who` may read."""
        return self._furniture.index.choices(who)

    def page(self, document_id: int, version: int, number: int, quoted: Span, who: Principal) -> bytes:
        """Return a page of a PDF as it was when that version was read, as PNG, with `quoted` marked.

        The file is asked of its source again, for only its text is kept. Raises GoneMeanwhile where there is
        no such version for `who`, or its source has another one by now; UnsupportedFormat for what has no
        pages, or none that may be shown: ink cannot be veiled, so where policy veils a word of a document for
        `who`, its pages are not drawn. PartUnavailable.
        """
        found = self._furniture.index.documents(who, [document_id])
        if not found or found[0].version != version:
            raise GoneMeanwhile(f"document {document_id}, version {version}")
        (document,) = found
        if PurePosixPath(document.uri).suffix.lower() != ".pdf":
            raise UnsupportedFormat("it has no pages to draw")
        passages = self._furniture.index.read(who, document_id)
        if self._policing.shown(passages, who) != passages:
            raise UnsupportedFormat("policy veils what stands on its pages")
        quote = _quote(passages, quoted)
        with tempfile.TemporaryDirectory(prefix="kiban-page-") as folder:
            return self._furniture.page_drawer.draw(self._original(document, Path(folder)), number, quote)

    def _original(self, document: Document, folder: Path) -> Path:
        """Fetch the bytes that were read. Raises GoneMeanwhile if the source has others now."""
        listed = Listed(
            document.uri,
            document.tag,
            0,
            document.audience,
            document.url,
            document.modified,
            document.identity,
        )
        fetched = self._furniture.source(document.source).fetch(listed, folder)
        if fetched.sha256 != document.sha256:
            raise GoneMeanwhile(f"{document.uri} has changed since it was read")
        return fetched.path


def _quote(passages: Sequence[Passage], quoted: Span) -> str:
    """Return the text of a place that lies within one passage; "" for any other."""
    for passage in passages:
        if passage.span.start <= quoted.start and quoted.end <= passage.span.end:
            at = passage.span.start
            return passage.original[quoted.start - at : quoted.end - at]
    return ""
