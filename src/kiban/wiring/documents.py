"""Source → Document → Chunk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import TypeVar

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
from kiban.wiring import far_workers, sources
from kiban.wiring.furniture import Furniture
from kiban.wiring.people import PeopleTimes
from kiban.wiring.side_by_side import AT_ONCE, Failures, Outcome, side_by_side
from kiban.wiring.source_errors import SourceErrors
from kiban.wiring.source_times import SourceTimes

GRACE = 4.0  # seconds that who watches may still take when the time is up
T = TypeVar("T")


class Documents:
    """What the ingest flow does, step by step, for one source: by its name, or by the path of a folder."""

    def __init__(self, furniture: Furniture) -> None:
        self._furniture = furniture
        self._times = SourceTimes(furniture.settings)
        self._people = PeopleTimes(furniture.settings)
        self._errors = SourceErrors(furniture.settings)

    def sources(self) -> list[str]:
        """Return the names of all sources in the settings."""
        return [source.name for source in self._furniture.sources]

    def hourly(self) -> list[str]:
        """Return the sources without a schedule of their own."""
        return [name for name in self.sources() if name not in self.schedules()]

    def schedules(self) -> dict[str, timedelta]:
        """Return how often each source with a schedule of its own is ingested."""
        return self._times.schedules

    def survey(self, source: str, allow_deleting: bool = False) -> IngestReport:
        furniture = self._furniture
        guard = Guard(furniture.settings.deletion_guard, allowed=allow_deleting)
        opened = furniture.source(source)
        with self._errors.noted(opened.name):
            return survey(opened, furniture.library, furniture.queue, guard)

    @property
    def read_here(self) -> bool:
        """Tell whether documents are read in this process, as the settings say."""
        return self._furniture.settings.ingest_engine == "here"

    def next_lease(self, source: str) -> Lease | None:
        return absorb.next_lease(self._furniture.source(source).name, self._furniture.queue)

    def absorb(self, lease: Lease) -> IngestReport:
        return absorb.absorb(self._furniture.source(lease.source), lease, self._reading())

    def drain(self, source: str) -> IngestReport:
        """Read until nothing of a source waits, where the settings say; any number of processes may do so at
        once."""
        if self.read_here:
            return absorb.drain(self._furniture.source(source), self._reading())
        return IngestReport.total(far_workers.drain(self._furniture.settings, source))

    def beside(
        self,
        do: Callable[[str], T],
        names: Sequence[str] | None = None,
        seconds: Callable[[str], float] | None = None,
        at_once: int = AT_ONCE,
    ) -> Iterator[Outcome[T]]:
        """Do something for each source, all sources by default, at the same time; yield how each ended.

        One that hangs ends after `seconds` (by default, as long as a listing may take) and keeps no other
        waiting. Why a source failed is kept for `outlook`.
        """
        furniture, times = self._furniture, self._times
        _ = furniture.library, furniture.queue  # else two threads would open each of them
        for outcome in side_by_side(do, names or self.sources(), seconds or times.listing, at_once=at_once):
            if isinstance(outcome.error, KibanError):
                self._errors.keep(outcome.name, outcome.error)
            yield outcome

    def look(self, do: Callable[[str], T]) -> Iterator[Outcome[T]]:
        """Do something quick for each source beside the others, within its `look_seconds`."""
        return self.beside(do, seconds=self._times.look)

    def follow_people(self) -> dict[str, Exception]:
        """Follow who is in which group, in every source whose time it is; return who did not answer."""
        ended = self.look(self._follow_people)
        return {outcome.name: outcome.error for outcome in ended if outcome.error is not None}

    def watch_readers(self, seconds: float, pause: float = 2.0) -> int:
        """Follow people as often as each source's settings say, and folders' readers within `pause` of every
        change, for so long.

        Returns how often a folder was followed. A source that does not answer keeps no other waiting: what
        it raised last is raised at the end.
        """
        until, failures, followed = time.monotonic() + seconds, Failures(), 0
        watching = self.beside(
            lambda name: self._watch(name, until, pause),
            seconds=lambda name: seconds + GRACE,
            at_once=len(self.sources()),
        )
        for outcome in watching:
            failures.add(outcome.error)
            followed += outcome.result or 0
        failures.tell()
        return followed

    def _watch(self, name: str, until: float, pause: float) -> int:
        source, known, followed = self._furniture.source(name), "", 0
        failed: KibanError | None = None
        while True:
            try:
                self._follow_people(name)
                if (now := sources.rules(source)) != known:
                    self.survey(name)
                    followed, known = followed + 1, now
            except (PartUnavailable, SourceRefused) as error:
                failed = error
            if time.monotonic() + pause > until:
                break
            time.sleep(pause)
        if failed is not None:
            raise failed
        return followed

    def _follow_people(self, name: str) -> None:
        if self._people.due(name):
            self._people.asked(name)
            follow_people(self._furniture.source(name), self._furniture.library)

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
            furniture.cutters(),
            furniture.detector,
            furniture.picture_embedder,
        )
