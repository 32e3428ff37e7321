"""A queue in memory, over a library in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

from kiban.domain.document import (
    Document,
    DocumentState,
    IngestReport,
    Lease,
    Leased,
    Listed,
    SourceFile,
    SourceStatus,
    Tombstone,
)
from kiban.testing.library import MemoryLibrary

ATTEMPTS = 3
HELD = datetime.max.replace(tzinfo=UTC)


class MemoryQueue:
    """A Queue over the documents of a MemoryLibrary; tests move its clock."""

    def __init__(self, library: MemoryLibrary) -> None:
        self.now = datetime.now(UTC)
        self._library = library
        self._of = library.shelved
        self._cursors: dict[str, str] = {}
        self._refused: dict[str, str] = {}
        self._deaths: dict[int, int] = {}
        self._sizes: dict[int, int] = {}
        self._numbers = count(1)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def cursor(self, source: str) -> str:
        return self._cursors.get(source, "")

    def surveyed(self, source: str, cursor: str, refused: str = "") -> None:
        self.release(source)
        self._cursors[source], self._refused[source] = cursor, refused

    def release(self, source: str) -> None:
        self._each(source, lambda one: one.due == HELD, lambda one: replace(one, due=self.now))

    def record(self, source: str, entries: Sequence[Listed]) -> IngestReport:
        unchanged = moved = 0
        for entry in {each.uri: each for each in entries}.values():
            known = self._of.get((source, entry.uri))
            if known is None:
                self._add(source, entry)
                continue
            moved += known.audience != entry.audience
            settled = known.tag == entry.tag and known.state is DocumentState.READY
            if not settled and not known.audience.covers(entry.audience):
                self._library.clear(source, entry.uri)
            if known.tag != entry.tag:
                known = self._waiting(replace(known, tag=entry.tag, attempts=0, reason=""))
                self._deaths.pop(known.id, None)
            elif known.audience == entry.audience and known.state is DocumentState.READY:
                unchanged += 1
            self._sizes[known.id] = entry.size
            self._of[source, entry.uri] = replace(
                known,
                audience=entry.audience,
                url=entry.url,
                modified=entry.modified,
                identity=entry.identity,
            )
        return IngestReport(unchanged=unchanged, moved_audience=moved)

    def uris(self, source: str) -> set[str]:
        return {one.uri for one in self._documents(source)}

    def alike(self, source: str, gone: Iterable[str]) -> list[tuple[str, Listed, str]]:
        found = []
        for held in [one for one in self._documents(source) if one.due == HELD]:
            for old in self._documents(source):
                if held.identity and old.identity == held.identity and old.id != held.id:
                    found.append((old.uri, self._listed(held), ""))
                elif old.uri in set(gone) and self._may_be(old, held):
                    found.append((old.uri, self._listed(held), old.sha256))
        return found

    def _may_be(self, old: Document, held: Document) -> bool:
        size = self._sizes[held.id]
        return bool(old.sha256) and (self._sizes.get(old.id) == size or (not size and old.tag == held.tag))

    def rename(self, source: str, uri: str, new: str, *, same: bool) -> None:
        held = self._of.pop((source, new))
        old = self._of.pop((source, uri))
        moved = replace(held, id=old.id, title=old.title, version=old.version, sha256=old.sha256, due=old.due)
        moved = replace(moved, state=old.state, since=old.since, attempts=old.attempts, reason=old.reason)
        self._of[source, new] = moved if same or held.tag == old.tag else self._waiting(moved)
        settled = same or (held.tag == old.tag and old.state is DocumentState.READY)
        if not settled and not old.audience.covers(held.audience):
            self._library.clear(source, uri)
        if (source, uri) in self._library.arrivals:
            self._library.arrivals[source, new] = self._library.arrivals.pop((source, uri))
            self._library.vectors[source, new] = self._library.vectors.pop((source, uri))

    def lease(self, source: str, worker: str, count: int, seconds: float) -> Lease | None:
        self._expire(source)
        open_ = (DocumentState.WAITING, DocumentState.FAILED)
        due = [one for one in self._documents(source) if one.state in open_ and self._is_due(one)]
        due.sort(key=lambda one: (one.due or HELD, one.id))
        taken = [one for one in due if not self._deaths.get(one.id)][:count] or due[:1]
        lease = f"{worker} {next(self._numbers)}"
        leased = []
        for one in taken:
            end = self.now + timedelta(seconds=seconds)
            self._library.leases[source, one.uri] = lease
            self._of[source, one.uri] = replace(one, state=DocumentState.READING, since=self.now, due=end)
            answers = one.sha256 if (source, one.uri) in self._library.arrivals else ""
            leased.append(Leased(self._listed(one), one.version, answers))
        return Lease(lease, source, tuple(leased)) if leased else None

    def extend(self, lease: Lease, seconds: float) -> None:
        end = self.now + timedelta(seconds=seconds)
        self._each(lease.source, self._under(lease), lambda one: replace(one, due=end))

    def give_back(self, lease: Lease, *, died: bool = False) -> None:
        if died:
            self._each(lease.source, self._under(lease), lambda one: replace(one, due=self.now))
            self._expire(lease.source)
        self._each(lease.source, self._under(lease), self._waiting)

    def fail(self, lease: Lease, file: SourceFile, reason: str) -> None:
        def failed(one: Document) -> Document:
            dead = one.attempts + 1 >= ATTEMPTS
            self._library.clear(lease.source, one.uri)
            return replace(
                one,
                state=DocumentState.DEAD if dead else DocumentState.FAILED,
                since=self.now,
                due=self.now + timedelta(minutes=5**one.attempts),
                attempts=one.attempts + 1,
                reason=reason,
                version=one.version + (file.sha256 not in ("", one.sha256)),
                sha256=file.sha256 or one.sha256,
            )

        under = self._under(lease)
        self._each(lease.source, lambda one: one.uri == file.uri and under(one), failed)

    def keep(self, lease: Lease, file: SourceFile) -> None:
        under = self._under(lease)
        self._each(
            lease.source,
            lambda one: one.uri == file.uri and under(one),
            lambda one: replace(one, state=DocumentState.READY, since=self.now, due=None),
        )

    def pending(self, source: str) -> float | None:
        open_ = (DocumentState.WAITING, DocumentState.READING)
        due = [
            one.due for one in self._documents(source) if one.state in open_ and one.due and one.due < HELD
        ]
        return max((min(due) - self.now).total_seconds(), 0.0) if due else None

    def retry(self, uri: str | None) -> int:
        over = (DocumentState.FAILED, DocumentState.DEAD)
        asked = [
            key
            for key, one in self._of.items()
            if one.state in over and (one.uri == uri if uri else one.state is DocumentState.DEAD)
        ]
        for key in asked:
            self._of[key] = self._waiting(replace(self._of[key], attempts=0))
            self._deaths.pop(self._of[key].id, None)
        return len(asked)

    def tombstones(self) -> list[Tombstone]:
        return list(self._library.buried)

    def status(self) -> list[SourceStatus]:
        found = []
        for source in sorted({source for source, _ in self._of} | self._cursors.keys()):
            states: dict[str, int] = {}
            oldest: dict[str, datetime] = {}
            for one in self._documents(source):
                states[one.state] = states.get(one.state, 0) + 1
                oldest[one.state] = min(oldest.get(one.state, one.since), one.since)
            found.append(SourceStatus(source, states, oldest, None, self._refused.get(source, "")))
        return found

    def _documents(self, source: str) -> list[Document]:
        return [one for (of, _), one in self._of.items() if of == source]

    def _each(
        self, source: str, which: Callable[[Document], bool], change: Callable[[Document], Document]
    ) -> None:
        for one in [one for one in self._documents(source) if which(one)]:
            self._of[source, one.uri] = changed = change(one)
            if changed.state is not DocumentState.READING:
                self._library.leases.pop((source, one.uri), None)

    def _under(self, lease: Lease) -> Callable[[Document], bool]:
        return lambda one: self._library.leases.get((one.source, one.uri)) == lease.id

    def _expire(self, source: str) -> None:
        def died(one: Document) -> Document:
            self._deaths[one.id] = deaths = self._deaths.get(one.id, 0) + 1
            reason = f"its worker died {deaths} times"
            if deaths < ATTEMPTS:
                return replace(self._waiting(one), reason=reason)
            self._library.clear(source, one.uri)
            return replace(one, state=DocumentState.DEAD, since=self.now, reason=reason)

        self._each(source, lambda one: one.state is DocumentState.READING and self._is_due(one), died)

    def _is_due(self, one: Document) -> bool:
        return one.due is not None and one.due <= self.now

    def _waiting(self, one: Document) -> Document:
        self._library.leases.pop((one.source, one.uri), None)
        return replace(one, state=DocumentState.WAITING, since=self.now, due=self.now)

    def _add(self, source: str, entry: Listed) -> None:
        added = Document(
            id=self._library.next_id(),
            source=source,
            uri=entry.uri,
            title="",
            version=0,
            sha256="",
            audience=entry.audience,
            state=DocumentState.WAITING,
            since=self.now,
            tag=entry.tag,
            url=entry.url,
            modified=entry.modified,
            identity=entry.identity,
            due=HELD,
        )
        self._of[source, entry.uri] = added
        self._sizes[added.id] = entry.size

    def _listed(self, one: Document) -> Listed:
        size = self._sizes.get(one.id, 0)
        return Listed(one.uri, one.tag, size, one.audience, one.url, one.modified, one.identity)
