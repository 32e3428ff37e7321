"""Bring the library up to date with a source: survey, settle, then absorb batch by batch.

Every batch is one transaction, and nothing is remembered between batches: a run that is killed loses at
most the batch in hand, and the next survey finds what is left to do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kiban.domain.document import Arrival, Document, DocumentState, IngestReport, SourceFile
from kiban.errors import DocumentError, EmptyFile
from kiban.ingest import chunking
from kiban.ports import Embedder, Library, Parser, Progress, Source, Tokenizer

BATCH = 64  # files; enough chunks for the embedder to sort by length
ATTEMPTS = 3  # times a file that fails is read before it has to change


@dataclass(frozen=True, slots=True)
class Survey:
    """What a source holds now, against what the library holds."""

    new: tuple[SourceFile, ...] = ()
    changed: tuple[SourceFile, ...] = ()
    retried: tuple[SourceFile, ...] = ()  # failed before with this content, worth another attempt
    moved: tuple[SourceFile, ...] = ()  # other readers than stored, whether or not the content changed
    unchanged: int = 0
    gone: tuple[str, ...] = ()

    @property
    def to_read(self) -> tuple[SourceFile, ...]:
        return (*self.new, *self.changed, *self.retried)

    def batches(self, size: int = BATCH) -> Iterator[tuple[SourceFile, ...]]:
        files = self.to_read
        for start in range(0, len(files), size):
            yield files[start : start + size]


def survey(source: Source, library: Library) -> Survey:
    """Compare. Raises PartUnavailable when either cannot be listed."""
    stored = {document.uri: document for document in library.documents(source.name)}
    new: list[SourceFile] = []
    changed: list[SourceFile] = []
    retried: list[SourceFile] = []
    moved: list[SourceFile] = []
    unchanged = 0
    for file in source.files():
        document = stored.pop(file.uri, None)
        if document is None:
            new.append(file)
            continue
        if document.audience != file.audience:
            moved.append(file)
        if document.sha256 != file.sha256:
            changed.append(file)
        elif _deserves_another(document):
            retried.append(file)
        elif document.audience == file.audience:
            unchanged += 1
    return Survey(tuple(new), tuple(changed), tuple(retried), tuple(moved), unchanged, tuple(stored))


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
    files: Sequence[SourceFile],
    *,
    source: str,
    library: Library,
    parser: Parser,
    tokenizer: Tokenizer,
    embedders: Mapping[int, Embedder],
) -> IngestReport:
    """Read one batch and store what can be read. Raises PartUnavailable; then nothing of it is stored."""
    began = time.monotonic()
    arrivals: list[Arrival] = []
    failures: list[tuple[SourceFile, str]] = []
    for file in files:
        try:
            arrivals.append(_read(file, parser, tokenizer))
        except DocumentError as error:
            failures.append((file, str(error)))
    known = {document.uri for document in library.documents(source)}
    if arrivals:
        library.put(source, arrivals, _vectors(arrivals, embedders))
    for file, reason in failures:
        library.fail(source, file, reason)
    changed = sum(arrival.file.uri in known for arrival in arrivals)
    return IngestReport(
        added=len(arrivals) - changed,
        changed=changed,
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
    batch_size: int = BATCH,
    progress: Progress | None = None,
) -> IngestReport:
    """Do all of it in this process."""
    began = time.monotonic()
    found = survey(source, library)
    report = settle(source, found, library)
    done, total = 0, len(found.to_read)
    for files in found.batches(batch_size):
        report += absorb(
            files,
            source=source.name,
            library=library,
            parser=parser,
            tokenizer=tokenizer,
            embedders=embedders,
        )
        done += len(files)
        if progress is not None:
            progress(done, total, "documents")
    return replace(report, seconds=time.monotonic() - began)


def _deserves_another(document: Document) -> bool:
    return document.state is DocumentState.FAILED and document.attempts < ATTEMPTS


def _read(file: SourceFile, parser: Parser, tokenizer: Tokenizer) -> Arrival:
    parsed = parser.parse(file)
    chunks = chunking.cut(parsed, tokenizer)
    if not chunks:
        raise EmptyFile("no text")
    return Arrival(file, parsed.title, chunks)


def _vectors(
    arrivals: Sequence[Arrival], embedders: Mapping[int, Embedder]
) -> dict[int, Sequence[Sequence[float]]]:
    """Embed all chunks of a batch in one call a generation, so that the embedder can sort them by length."""
    texts = [
        chunking.embedding_text(arrival.title, chunk) for arrival in arrivals for chunk in arrival.chunks
    ]
    return {generation: embedder.passages(texts) for generation, embedder in embedders.items()}
