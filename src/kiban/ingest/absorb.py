"""Read what waits in the queue, a lease at a time, and store it.

What one lease covers is stored in one transaction. A worker that is killed loses at most that: its lease
expires, and another worker takes the documents.
"""

from __future__ import annotations

import logging
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

from kiban.domain.document import (
    Arrival,
    IngestReport,
    Lease,
    Leased,
    SourceFile,
)
from kiban.domain.generation import FIRST_CUT
from kiban.errors import DocumentError, EmptyFile, KibanError, PartUnavailable
from kiban.ingest import chunking, pictures, sensitive
from kiban.ingest.chunking import STANDARD, Chunking
from kiban.ingest.survey import CAREFUL, Guard, survey
from kiban.ports import (
    Detector,
    Embedder,
    Library,
    Parser,
    PictureEmbedder,
    Progress,
    Queue,
    Source,
    Tokenizer,
)

BATCH = 64  # files; enough chunks for the embedder to sort by length
LEASE = 60.0  # seconds, extended while the worker lives
POLL = 0.5  # seconds between looks at what other workers have not finished

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Cutter:
    """One way to cut text, and the embedders of the generations whose chunks are made so."""

    tokenizer: Tokenizer
    embedders: Mapping[int, Embedder]  # by generation
    chunking: Chunking = STANDARD
    cut: int = FIRST_CUT


@dataclass(frozen=True, slots=True)
class Reading:
    """What a worker reads with: every document once, and cut every way that is alive."""

    library: Library
    queue: Queue
    parser: Parser
    cutters: tuple[Cutter, ...]
    detector: Detector | None = None
    picture_embedder: PictureEmbedder | None = None


def run(
    source: Source,
    reading: Reading,
    *,
    guard: Guard = CAREFUL,
    batch_size: int = BATCH,
    progress: Progress | None = None,
) -> IngestReport:
    """Survey a source and read all that waits, in this process."""
    began = time.monotonic()
    report = survey(source, reading.library, reading.queue, guard)
    report += drain(source, reading, batch_size=batch_size, progress=progress)
    return replace(report, seconds=time.monotonic() - began)


def drain(
    source: Source,
    reading: Reading,
    *,
    batch_size: int = BATCH,
    seconds: float = LEASE,
    progress: Progress | None = None,
) -> IngestReport:
    """Read until nothing waits and no other worker holds anything: if one dies, what it held is read here.
    Failed documents are left until they are due."""
    report = IngestReport()
    done = 0
    while lease := next_lease(source.name, reading.queue, batch_size, seconds):
        report += absorb(source, lease, reading, seconds=seconds)
        done += len(lease.leased)
        if progress is not None:
            progress(done, done, "documents")
    return report


def next_lease(source: str, queue: Queue, count: int = BATCH, seconds: float = LEASE) -> Lease | None:
    """Take the next documents, waiting while others hold some; None when all is read."""
    worker = f"{platform.node()}:{os.getpid()}"
    while (lease := queue.lease(source, worker, count, seconds)) is None:
        pending = queue.pending(source)
        if pending is None:
            return None
        time.sleep(min(max(pending, 0.01), POLL))
    return lease


def absorb(source: Source, lease: Lease, reading: Reading, *, seconds: float = LEASE) -> IngestReport:
    """Read what is lent and store what can be read. Raises PartUnavailable; then nothing of it is stored,
    and all of it waits again."""
    try:
        with _kept_alive(lease, reading.queue, seconds):
            return _absorb(source, lease, reading)
    except (KibanError, KeyboardInterrupt):
        with suppress(PartUnavailable):  # then the lease expires by itself
            reading.queue.give_back(lease)
        raise
    except Exception:  # boundary of one lease: a fault of ours is counted, and cannot come back for ever
        with suppress(PartUnavailable):
            reading.queue.give_back(lease, died=True)
        raise


def _absorb(source: Source, lease: Lease, reading: Reading) -> IngestReport:
    began = time.monotonic()
    arrivals: list[Arrival] = []
    unchanged: list[SourceFile] = []
    failures: list[tuple[SourceFile, str]] = []
    with TemporaryDirectory(prefix="kiban-") as folder:
        for leased in lease.leased:
            file = leased.listed.fetched(Path(), leased.listed.size, "")
            try:
                file = source.fetch(leased.listed, Path(folder))
                if file.sha256 == leased.sha256:
                    unchanged.append(file)
                else:
                    arrivals += _read(file, reading)
            except DocumentError as error:
                failures.append((file, str(error)))
            if file.sha256:
                file.path.unlink()
    stored = frozenset[str]()
    if arrivals:
        if reading.picture_embedder is not None:
            arrivals = pictures.embed(arrivals, reading.picture_embedder)
        vectors = _vectors(arrivals, reading.cutters)
        stored = reading.library.put(lease.source, arrivals, vectors, lease.id)
    for file in unchanged:
        reading.queue.keep(lease, file)
    for file, reason in failures:
        reading.queue.fail(lease, file, reason)
    return replace(
        _report(lease.leased, [each for each in arrivals if each.cut == reading.cutters[0].cut], stored),
        unchanged=len(unchanged),
        failed=tuple((file.uri, reason) for file, reason in failures),
        seconds=time.monotonic() - began,
    )


def _report(leased: Sequence[Leased], arrivals: Sequence[Arrival], stored: frozenset[str]) -> IngestReport:
    known = {each.listed.uri for each in leased if each.version}
    return IngestReport(
        added=len(stored - known),
        changed=len(stored & known),
        chunks=sum(len(arrival.chunks) for arrival in arrivals if arrival.file.uri in stored),
    )


@contextmanager
def _kept_alive(lease: Lease, queue: Queue, seconds: float) -> Iterator[None]:
    """Extend a lease until the block ends."""
    over = Event()

    def beat() -> None:
        while not over.wait(seconds / 4):
            try:
                queue.extend(lease, seconds)
            except PartUnavailable as error:
                log.warning("the lease could not be extended: %s", error)

    thread = Thread(target=beat, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _read(file: SourceFile, reading: Reading) -> list[Arrival]:
    parsed = reading.parser.parse(file)
    arrivals = []
    for cutter in reading.cutters:
        chunks = chunking.cut(parsed, cutter.tokenizer, cutter.chunking)
        if not chunks:
            raise EmptyFile("no text")
        if reading.detector is not None:
            chunks = sensitive.mark(parsed, chunks, reading.detector)
        shown = pictures.beside(parsed.pictures, chunks) if reading.picture_embedder is not None else ()
        arrivals.append(Arrival(file, parsed.title, chunks, shown, cutter.cut))
    return arrivals


def _vectors(arrivals: Sequence[Arrival], cutters: Sequence[Cutter]) -> dict[int, Sequence[Sequence[float]]]:
    """Embed all chunks of a batch in one call a generation, so that the embedder can sort them by length."""
    vectors: dict[int, Sequence[Sequence[float]]] = {}
    for cutter in cutters:
        texts = [
            chunking.embedding_text(arrival.title, chunk)
            for arrival in arrivals
            if arrival.cut == cutter.cut
            for chunk in arrival.chunks
        ]
        vectors |= {generation: embedder.passages(texts) for generation, embedder in cutter.embedders.items()}
    return vectors
