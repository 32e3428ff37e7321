"""Record what a source holds now: readers and deletions at once, new content as waiting to be read."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from kiban.domain.document import IngestReport, Listed
from kiban.errors import DocumentError
from kiban.ports import Library, Queue, Source

PAGE = 1000  # entries recorded in one transaction


@dataclass(frozen=True, slots=True)
class Guard:
    """How much may be deleted at once without a person saying so."""

    share: float = 0.3  # of a source's documents
    least: int = 10  # so few may always go
    allowed: bool = False  # a person has said so

    def refuses(self, gone: int, known: int) -> bool:
        return not self.allowed and gone >= self.least and gone > self.share * known


CAREFUL = Guard()


def survey(source: Source, library: Library, queue: Queue, guard: Guard = CAREFUL) -> IngestReport:
    """Follow a source, without reading any document. Raises PartUnavailable, SourceRefused.

    Readers are followed whatever the guard says. Its refusal is kept for `status`, and the cursor is not:
    the same deletions are asked for again next time.
    """
    began = time.monotonic()
    library.set_memberships(source.name, source.memberships())
    before = queue.cursor(source.name)
    listing = source.listing(before)
    seen: set[str] = set()
    report = IngestReport()
    try:
        for page in _pages(listing.entries):
            seen |= {entry.uri for entry in page}
            report += queue.record(source.name, page)
        known = queue.uris(source.name)
        gone = known - seen if listing.whole else known & set(listing.gone) - seen
        renamed = _follow_renames(source, queue, gone, seen)
    except BaseException:
        queue.release(source.name)  # what is new can be read all the same
        raise
    gone -= renamed
    refused = guard.refuses(len(gone), len(known))
    deleted = library.delete(source.name, gone) if gone and not refused else 0
    told = f"{len(gone)} of {len(known)} documents are gone; none was deleted" if refused else ""
    queue.surveyed(source.name, before if refused else listing.cursor(), told)
    return report + IngestReport(
        deleted=deleted,
        renamed=len(renamed),
        held_back=len(gone) if refused else 0,
        seconds=time.monotonic() - began,
    )


def _follow_renames(source: Source, queue: Queue, gone: set[str], seen: set[str]) -> set[str]:
    """Move documents that are listed under another uri now; return their old uris.

    Known by their identity, or by their content where something is gone that has exactly the size of
    something new, or its tag where the source says no size. One that is listed under its old uri as well is
    a copy, not a rename.
    """
    moved: set[str] = set()
    taken: set[str] = set()
    for uri, entry, sha256 in queue.alike(source.name, gone):
        if uri in seen | moved or entry.uri in taken:
            continue
        if sha256 and not _holds(source, entry, sha256):
            continue
        queue.rename(source.name, uri, entry.uri, same=bool(sha256))
        moved.add(uri)
        taken.add(entry.uri)
    return moved


def _holds(source: Source, entry: Listed, sha256: str) -> bool:
    with TemporaryDirectory(prefix="kiban-") as folder:
        try:
            return source.fetch(entry, Path(folder)).sha256 == sha256
        except DocumentError:
            return False  # recorded when its turn comes to be read


def _pages(entries: Iterable[Listed]) -> Iterable[list[Listed]]:
    left = iter(entries)
    while page := list(islice(left, PAGE)):
        yield page


def follow_people(source: Source, library: Library) -> IngestReport:
    """Follow who is in which group, and nothing else. It reaches the next question."""
    began = time.monotonic()
    library.set_memberships(source.name, source.memberships())
    return replace(IngestReport(), seconds=time.monotonic() - began)
