"""Bring the library up to date with a source: survey, settle, then absorb batch by batch.

Every batch is one transaction, and nothing is remembered between batches: a run that is killed loses at
most the batch in hand, and the next survey finds what is left to do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from kiban.domain.document import (
    Arrival,
    Document,
    DocumentState,
    IngestReport,
    Listed,
    SourceFile,
)
from kiban.errors import DocumentError, EmptyFile
from kiban.ingest import chunking, sensitive
from kiban.ports import Detector, Embedder, Library, Parser, Progress, Source, Tokenizer

BATCH = 64  # files; enough chunks for the embedder to sort by length
ATTEMPTS = 3  # times a file that fails is read before it has to change


@dataclass(frozen=True, slots=True)
class Survey:
    """What a source holds now, against what the library holds."""

    new: tuple[Listed, ...] = ()
    changed: tuple[Listed, ...] = ()
    retried: tuple[Listed, ...] = ()  # failed before with this tag, worth another attempt
    moved: tuple[Listed, ...] = ()  # other readers than stored, whether or not the content changed
    unchanged: int = 0
    gone: tuple[str, ...] = ()
    cursor: str = ""  # to keep when all of this has been recorded

    @property
    def to_read(self) -> tuple[Listed, ...]:
        return (*self.new, *self.changed, *self.retried)

    def batches(self, size: int = BATCH) -> Iterator[tuple[Listed, ...]]:
        entries = self.to_read
        for start in range(0, len(entries), size):
            yield entries[start : start + size]


def survey(source: Source, library: Library) -> Survey:
    """Compare. Raises PartUnavailable when either cannot be listed."""
    stored = {document.uri: document for document in library.documents(source.name)}
    listing = source.listing(library.cursor(source.name))
    seen: set[str] = set()
    new: list[Listed] = []
    changed: list[Listed] = []
    retried: list[Listed] = []
    moved: list[Listed] = []
    unchanged = 0
    for entry in listing.entries:
        seen.add(entry.uri)
        document = stored.get(entry.uri)
        if document is None:
            new.append(entry)
            continue
        if document.audience != entry.audience:
            moved.append(entry)
        if document.tag != entry.tag:
            changed.append(entry)
        elif _deserves_another(document):
            retried.append(entry)
        elif document.audience == entry.audience:
            unchanged += 1
    gone = tuple(stored.keys() - seen) if listing.whole else listing.gone
    return Survey(tuple(new), tuple(changed), tuple(retried), tuple(moved), unchanged, gone, listing.cursor())


def settle(source: Source, found: Survey, library: Library) -> IngestReport:
    """Follow readers and deletions. Done before anything is read: what someone may no longer see must not
    wait for a slow embedder."""
    began = time.monotonic()
    for file in found.moved:
        library.move_audience(source.name, file)
    deleted = library.delete(source.name, found.gone) if found.gone else 0
    library.set_memberships(source.name, source.memberships())
    return IngestReport(
        unchanged=found.unchanged,
        moved_audience=len(found.moved),
        deleted=deleted,
        seconds=time.monotonic() - began,
    )


def absorb(
    source: Source,
    entries: Sequence[Listed],
    *,
    library: Library,
    parser: Parser,
    tokenizer: Tokenizer,
    embedders: Mapping[int, Embedder],
    detector: Detector | None = None,
) -> IngestReport:
    """Read one batch and store what can be read. Raises PartUnavailable; then nothing of it is stored."""
    began = time.monotonic()
    known = {document.uri: document for document in library.documents(source.name)}
    arrivals: list[Arrival] = []
    unchanged: list[SourceFile] = []
    failures: list[tuple[SourceFile, str]] = []
    with TemporaryDirectory(prefix="kiban-") as folder:
        for entry in entries:
            file = _not_fetched(entry)
            try:
                file = source.fetch(entry, Path(folder))
                if _is_stored(file, known.get(file.uri)):
                    unchanged.append(file)
                else:
                    arrivals.append(_read(file, parser, tokenizer, detector))
            except DocumentError as error:
                failures.append((file, str(error)))
            if file.path.is_file():
                file.path.unlink()
    if arrivals:
        library.put(source.name, arrivals, _vectors(arrivals, embedders))
    for file in unchanged:
        library.keep(source.name, file)
    for file, reason in failures:
        library.fail(source.name, file, reason)
    changed = sum(arrival.file.uri in known for arrival in arrivals)
    return IngestReport(
        added=len(arrivals) - changed,
        changed=changed,
        unchanged=len(unchanged),
        failed=tuple((file.uri, reason) for file, reason in failures),
        chunks=sum(len(arrival.chunks) for arrival in arrivals),
        seconds=time.monotonic() - began,
    )


def run(
    source: Source,
    library: Library,
    parser: Parser,
    tokenizer: Tokenizer,
    embedders: Mapping[int, Embedder],
    *,
    detector: Detector | None = None,
    batch_size: int = BATCH,
    progress: Progress | None = None,
) -> IngestReport:
    """Do all of it in this process."""
    began = time.monotonic()
    found = survey(source, library)
    report = settle(source, found, library)
    done, total = 0, len(found.to_read)
    for entries in found.batches(batch_size):
        report += absorb(
            source,
            entries,
            library=library,
            parser=parser,
            tokenizer=tokenizer,
            embedders=embedders,
            detector=detector,
        )
        done += len(entries)
        if progress is not None:
            progress(done, total, "documents")
    library.keep_cursor(source.name, found.cursor)
    return replace(report, seconds=time.monotonic() - began)


def _not_fetched(entry: Listed) -> SourceFile:
    """Return what stands for a file that could not be fetched; its tag stands in for its content."""
    return entry.fetched(Path(), entry.size, f"tag {entry.tag}")


def _is_stored(file: SourceFile, document: Document | None) -> bool:
    return document is not None and document.state is DocumentState.READY and document.sha256 == file.sha256


def _deserves_another(document: Document) -> bool:
    return document.state is DocumentState.FAILED and document.attempts < ATTEMPTS


def _read(file: SourceFile, parser: Parser, tokenizer: Tokenizer, detector: Detector | None) -> Arrival:
    parsed = parser.parse(file)
    chunks = chunking.cut(parsed, tokenizer)
    if not chunks:
        raise EmptyFile("no text")
    if detector is not None:
        chunks = sensitive.mark(parsed, chunks, detector)
    return Arrival(file, parsed.title, chunks)


def _vectors(
    arrivals: Sequence[Arrival], embedders: Mapping[int, Embedder]
) -> dict[int, Sequence[Sequence[float]]]:
    """Embed all chunks of a batch in one call a generation, so that the embedder can sort them by length."""
    texts = [
        chunking.embedding_text(arrival.title, chunk) for arrival in arrivals for chunk in arrival.chunks
    ]
    return {generation: embedder.passages(texts) for generation, embedder in embedders.items()}
