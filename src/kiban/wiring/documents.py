"""Source → Document → Chunk."""

from __future__ import annotations

import time

from kiban.domain.document import (
    Document,
    DocumentState,
    IngestReport,
    Lease,
    SourceOutlook,
    SourceStatus,
    Tombstone,
)
from kiban.errors import KibanError, PartUnavailable, SourceRefused, TooManyGone
from kiban.ingest import absorb
from kiban.ingest.absorb import Reading
from kiban.ingest.survey import Guard, follow_people, survey
from kiban.wiring import sources
from kiban.wiring.furniture import Furniture
from kiban.wiring.people import PeopleTimes
from kiban.wiring.source_errors import SourceErrors


class Documents:
    """What the ingest flow does, step by step, for one source: by its name, or by the path of a folder."""

    def __init__(self, furniture: Furniture) -> None:
        self._furniture = furniture
        self._people = PeopleTimes(furniture.settings)
        self._errors = SourceErrors(furniture.settings)

    def sources(self) -> list[str]:
        """Return the names of all sources in the settings."""
        return [source.name for source in self._furniture.sources]

    def survey(self, source: str, allow_deleting: bool = False) -> IngestReport:
        furniture = self._furniture
        guard = Guard(furniture.settings.deletion_guard, allowed=allow_deleting)
        opened = furniture.source(source)
        with self._errors.noted(opened.name):
            return survey(opened, furniture.library, furniture.queue, guard)

    def next_lease(self, source: str) -> Lease | None:
        return absorb.next_lease(self._furniture.source(source).name, self._furniture.queue)

    def absorb(self, lease: Lease) -> IngestReport:
        return absorb.absorb(self._furniture.source(lease.source), lease, self._reading())

    def drain(self, source: str) -> IngestReport:
        """Read until nothing of a source waits; any number of processes may do so at once."""
        return absorb.drain(self._furniture.source(source), self._reading())

    def follow_people(self) -> dict[str, KibanError]:
        """Follow who is in which group, in every source whose time it is; return who did not answer."""
        failed: dict[str, KibanError] = {}
        for source in self._furniture.sources:
            if not self._people.due(source.name):
                continue
            self._people.asked(source.name)
            try:
                follow_people(source, self._furniture.library)
            except (PartUnavailable, SourceRefused) as error:
                failed[source.name] = error
                self._errors.keep(source.name, error)
        return failed

    def watch_readers(self, seconds: float, pause: float = 2.0) -> int:
        """Follow people as often as each source's settings say, and folders' readers within `pause` of every
        change, for so long.

        Returns how often a folder was followed. A source that does not answer keeps no other waiting: what
        it raised last is raised at the end.
        """
        failed: dict[str, KibanError] = {}
        known: dict[str, str] = {}
        until, followed = time.monotonic() + seconds, 0
        while True:
            failed |= self.follow_people()
            for source in self._furniture.sources:
                now = sources.rules(source)
                if now != known.get(source.name, ""):
                    self.survey(source.name)
                    followed += 1
                known[source.name] = now
            if time.monotonic() + pause > until:
                break
            time.sleep(pause)
        for error in failed.values():
            raise error
        return followed

    def conclude(self, report: IngestReport) -> IngestReport:
        """Return the report. Raises TooManyGone if deletions were held back."""
        if report.held_back:
            raise TooManyGone(
                f"{report.held_back} documents are gone from their source but were kept.",
                mend="look at the source; if it is right: kiban ingest NAME --allow-deleting",
            )
        return report

    def ingest(self, source: str) -> IngestReport:
        """Do all of it in this process, without a flow."""
        report = self.survey(source) + self.drain(source)
        self.tend_index()
        return report

    def tend_index(self) -> None:
        """Give zones that have grown large their graphs."""
        self._furniture.library.tend_index(self._furniture.settings.graph_zone_chunks)

    def all(self) -> list[Document]:
        return self._furniture.library.documents()

    def status(self) -> list[SourceStatus]:
        return self._furniture.queue.status()

    def outlook(self) -> list[SourceOutlook]:
        """Return how every source of the settings stands."""
        kinds = {each.name: each.kind for each in self._furniture.settings.sources}
        status = {each.source: each for each in self.status()}
        found = []
        for name in self.sources():
            known, cursor = status.get(name), bool(self._furniture.queue.cursor(name))
            kind, error = kinds.get(name, "folder"), self._errors.last(name)
            states, listed = (known.states, known.surveyed) if known else ({}, None)
            told = error or (known.refused if known else "")
            found.append(SourceOutlook(name, kind, states, listed, cursor, told))
        return found

    def tombstones(self) -> list[Tombstone]:
        return self._furniture.queue.tombstones()

    def retry(self, uri: str | None) -> int:
        """Let a document, or all dead ones, be read again at once; return how many."""
        return self._furniture.queue.retry(uri)

    def failed(self) -> list[Document]:
        over = (DocumentState.FAILED, DocumentState.DEAD)
        return [document for document in self.all() if document.state in over]

    def _reading(self) -> Reading:
        furniture = self._furniture
        return Reading(
            furniture.library,
            furniture.queue,
            furniture.parser,
            furniture.tokenizer,
            furniture.live_embedders(),
            furniture.detector,
            furniture.picture_embedder,
        )
