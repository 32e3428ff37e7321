"""How any folder of files is parsed: pages a second, failures by reason, memory, and how much text is kept.

Every side is timed by the CPU time of the process that does the work, so that a busy machine changes little.
Raw pypdfium2 takes turns with us on every PDF; what our jail costs is on our side.
"""

from __future__ import annotations

import os
import resource
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kiban.backends.parsers.jail import JailedParser
from kiban.backends.parsers.worker_process import Limits
from kiban.bench.parsed import Golds, Parsed, pages_of, recall
from kiban.bench.peer_parsers import Peer, run_peers
from kiban.domain.access import NOBODY
from kiban.domain.document import SourceFile
from kiban.errors import DocumentError
from kiban.ports import Progress

RAW = "kiban.bench.raw_pdfium:parse"
_SLOWEST = 5
_MOST_ROUNDS, _ROUNDS_BY_PAGES = 20, 40  # a PDF of 10 pages is read five times
_WHY = 120  # characters of a reason that are told apart


@dataclass(frozen=True, slots=True)
class FormatFigures:
    """What came of the files of one ending."""

    files: int
    parsed: int
    pages: int
    characters: int
    cpu_seconds: float  # of parsing, those that failed too
    pages_per_cpu_second: float


@dataclass(frozen=True, slots=True)
class RawFigures:
    """PDFs that both sides read: pages per CPU second, ours over raw pypdfium2's."""

    files: int
    pages: int
    ours: float
    raw: float
    ratio: float
    lowest_ratio: float  # of one file with five pages or more; 1.0 without such a file


@dataclass(frozen=True, slots=True)
class ParseFigures:
    """What `kiban bench parse` tells of a folder. Recall is of the gold texts' words, 0 to 1."""

    files: int
    parsed: int
    pages: int
    characters: int
    wall_seconds: float
    cpu_seconds: float
    pages_per_second: float  # by the clock
    formats: dict[str, FormatFigures]
    failures: dict[str, int]  # error class and detail
    failed: list[tuple[str, str]]  # file, error
    pictures_unread: int
    worker_peak_mb: float
    parent_peak_mb: float
    slowest: list[tuple[str, float]]  # file, seconds by the clock
    raw: RawFigures | None
    gold_files: int
    recall: float | None  # mean over files with a gold text
    recalls: dict[str, float]  # by file, lowest first
    peers: list[Peer]
    defences: tuple[str, ...]
    load_at_start: float


def measure(
    folder: Path,
    *,
    gold: Path | None = None,
    peers: Path | None = None,
    pictures: int = 0,
    limits: Limits | None = None,
    progress: Progress,
) -> ParseFigures:
    """Parse every regular file below `folder`. `peers` is a Python that has markitdown or docling."""
    load = os.getloadavg()[0]
    files = list(_files(folder))
    golds = Golds(gold)
    began = time.monotonic()
    done: list[Parsed] = []
    with (
        JailedParser(limits or Limits(), pictures=pictures) as parser,
        JailedParser(limits or Limits(), parse=RAW) as raw,
    ):
        defences = parser.lines_of_defence()
        peak = 0
        for number, file in enumerate(files):
            progress(number, len(files), "files")
            done.append(_parsed(file, parser, raw, golds))
            peak = max(peak, parser.memory())
        progress(len(files), len(files), "files")
    wall = time.monotonic() - began
    others = run_peers(peers, [file.path for file in files], golds) if peers else []
    return _figures(done, others, wall=wall, load=load, worker_peak=peak, defences=defences)


def _files(folder: Path) -> Iterator[SourceFile]:
    """Yield regular files, whatever their names; links lead out of the folder, and are left."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place, name)
            if path.is_file() and not path.is_symlink():
                uri = str(path.relative_to(folder))
                yield SourceFile(uri, path, path.stat().st_size, "", NOBODY)


def _parsed(file: SourceFile, parser: JailedParser, raw: JailedParser, golds: Golds) -> Parsed:
    began, before = time.monotonic(), _cpu(parser)
    document, error = None, ""
    try:
        document = parser.parse(file)
    except DocumentError as refusal:
        error = f"{type(refusal).__name__}: {refusal.detail}"[:_WHY]
    cpu, wall = max(_cpu(parser) - before, 0.0), time.monotonic() - began
    raw_pages, raw_cpu = _raw(file, raw) if document and _is_pdf(file) else (0, 0.0)
    if raw_pages and not (document and document.unread):
        cpu = _again(file, parser, cpu, rounds=min(_MOST_ROUNDS, _ROUNDS_BY_PAGES // raw_pages))
    return Parsed(
        name=os.fsencode(file.uri).decode("utf-8", "replace"),
        ending=file.path.suffix.lower() or "(none)",
        error=error,
        pages=raw_pages or (pages_of(document) if document else 0),
        characters=len(document.text) if document else 0,
        unread=len(document.unread) if document else 0,
        cpu=cpu,
        wall=wall,
        raw_cpu=raw_cpu,
        recall=recall(golds.of(file.path), document) if document else None,
    )


def _again(file: SourceFile, parser: JailedParser, cpu: float, *, rounds: int) -> float:
    """Return the CPU seconds of one of several readings: clocks of CPU time may tick only every few
    milliseconds."""
    before = _cpu(parser)
    for _ in range(rounds):
        parser.parse(file)
    return (_cpu(parser) - before + cpu) / (rounds + 1)


def _cpu(parser: JailedParser) -> float:
    """Return seconds of CPU of the workers in service and of this process. One that was replaced takes its
    seconds along: a file that killed its worker counts as nothing here."""
    return parser.cpu_seconds() + time.process_time()


def _is_pdf(file: SourceFile) -> bool:
    with file.path.open("rb") as content:
        return content.read(5) == b"%PDF-"


def _raw(file: SourceFile, raw: JailedParser) -> tuple[int, float]:
    """Return pages and CPU seconds of pypdfium2 alone, as it says itself."""
    try:
        pages, seconds = raw.parse(file).title.split()
    except DocumentError:
        return 0, 0.0
    return int(pages), float(seconds)


def _figures(
    done: Sequence[Parsed],
    peers: list[Peer],
    *,
    wall: float,
    load: float,
    worker_peak: int,
    defences: tuple[str, ...],
) -> ParseFigures:
    recalls = {one.name: one.recall for one in done if one.recall is not None}
    pages = sum(one.pages for one in done)
    return ParseFigures(
        files=len(done),
        parsed=sum(not one.error for one in done),
        pages=pages,
        characters=sum(one.characters for one in done),
        wall_seconds=wall,
        cpu_seconds=sum(one.cpu for one in done),
        pages_per_second=pages / max(sum(one.wall for one in done), 1e-9),
        formats=_formats(done),
        failures=dict(Counter(one.error for one in done if one.error).most_common()),
        failed=[(one.name, one.error) for one in done if one.error],
        pictures_unread=sum(one.unread for one in done),
        worker_peak_mb=worker_peak / 2**20,
        parent_peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
        slowest=sorted(((one.name, one.wall) for one in done), key=lambda pair: -pair[1])[:_SLOWEST],
        raw=_against_raw([one for one in done if one.raw_cpu]),
        gold_files=len(recalls),
        recall=sum(recalls.values()) / len(recalls) if recalls else None,
        recalls=dict(sorted(recalls.items(), key=lambda pair: pair[1])),
        peers=peers,
        defences=defences,
        load_at_start=load,
    )


def _formats(done: Iterable[Parsed]) -> dict[str, FormatFigures]:
    by_ending: defaultdict[str, list[Parsed]] = defaultdict(list)
    for one in done:
        by_ending[one.ending].append(one)
    return {
        ending: FormatFigures(
            files=len(ones),
            parsed=sum(not one.error for one in ones),
            pages=sum(one.pages for one in ones),
            characters=sum(one.characters for one in ones),
            cpu_seconds=sum(one.cpu for one in ones),
            pages_per_cpu_second=sum(one.pages for one in ones) / max(sum(one.cpu for one in ones), 1e-9),
        )
        for ending, ones in sorted(by_ending.items())
    }


def _against_raw(done: Sequence[Parsed]) -> RawFigures | None:
    if not done:
        return None
    pages = sum(one.pages for one in done)
    ours, raw = sum(one.cpu for one in done), sum(one.raw_cpu for one in done)
    lowest = min((one.raw_cpu / one.cpu for one in done if one.pages >= 5 and one.cpu), default=1.0)
    return RawFigures(len(done), pages, pages / ours, pages / raw, raw / ours, lowest)
