"""Parsers in a jail: a confined worker process reads each file, and its death harms nobody.

The worker is handed an open file, never a path; it has no network, sees no files but its own libraries, and
is limited in memory, CPU time, wall time and what it may say (confinement.py). One that dies or is late is
replaced, and its file is a HostileFile. Pictures of text go to a second worker, which may take longer.
"""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import PurePosixPath

from kiban.backends.parsers.worker_process import Limits, WorkerProcess
from kiban.domain.document import ParsedDocument, Place, Section, SourceFile
from kiban.errors import BrokenFile, EmptyFile, GoneMeanwhile, HostileFile, OversizeFile

DISPATCH = "kiban.backends.parsers.dispatch:parse"
USUAL = Limits()
NOTICE = "文字認識の上限を超えたため、または文字認識が無効なため、読まれていない画像のページ"
_CPU_A_PICTURE, _WALL_A_PICTURE = 60.0, 120.0  # seconds
_MEMORY_FOR_PICTURES = 4 * 2**30  # bytes of address space


class JailedParser:
    """Implements `ports.Parser`. Its workers start with the first file that needs them."""

    def __init__(self, limits: Limits = USUAL, *, pictures: int = 0, parse: str = DISPATCH) -> None:
        self.limits = limits
        self._reader = WorkerProcess(limits, parse)
        self._recogniser = WorkerProcess(_for_pictures(limits, pictures), parse) if pictures else None

    def parse(self, file: SourceFile) -> ParsedDocument:
        """Return the text of a file. Raises a DocumentError; PartRefused if no worker starts."""
        if file.size > self.limits.file_bytes:
            raise OversizeFile(f"{file.size:,} bytes, more than {self.limits.file_bytes:,}")
        name = _name(file)
        descriptor = _opened(file)
        try:
            document = self._reader.ask(name, descriptor)
            if document.unread and self._recogniser is not None:
                document = self._recognised(self._recogniser, name, descriptor, document)
        finally:
            os.close(descriptor)
        return _noticed(document)

    def lines_of_defence(self) -> tuple[str, ...]:
        """Return what confines a worker on this machine. Raises PartRefused."""
        return self._reader.lines_of_defence()

    def memory(self) -> int:
        """Return the most bytes that the worker in service has held."""
        return max(self._reader.memory(), self._recogniser.memory() if self._recogniser else 0)

    def cpu_seconds(self) -> float:
        """Return the CPU time that the workers in service have taken."""
        return self._reader.cpu_seconds() + (self._recogniser.cpu_seconds() if self._recogniser else 0.0)

    def close(self) -> None:
        self._reader.close()
        if self._recogniser is not None:
            self._recogniser.close()

    def __enter__(self) -> JailedParser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def _recognised(
        recogniser: WorkerProcess, name: str, descriptor: int, document: ParsedDocument
    ) -> ParsedDocument:
        """Read again, pictures too. What has been read already is kept when that takes too much."""
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            return recogniser.ask(name, descriptor)
        except HostileFile:
            if not document.sections:
                raise
            return document


def _name(file: SourceFile) -> str:
    """Return the uri, or what the source called the copy if that ends otherwise: an id or the address of a
    page says nothing of a format."""
    ending = file.path.suffix.lower()
    return file.uri if PurePosixPath(file.uri).suffix.lower() == ending else file.path.name


def _noticed(document: ParsedDocument) -> ParsedDocument:
    """Return the document with a word on the pictures that nobody has read. Raises EmptyFile if it is all."""
    if not document.unread:
        return document
    pages = "、".join(f"p. {place.page}" if place.page else place.anchor for place in document.unread)
    if not document.sections:
        raise EmptyFile(f"pictures of text, and OCR is off or did not get to them: {pages}"[:300])
    notice = Section(f"{NOTICE}: {pages}", Place(heading="未読の画像"))
    return replace(document, sections=(*document.sections, notice))


def _opened(file: SourceFile) -> int:
    """Return a descriptor to read from. Raises GoneMeanwhile, BrokenFile."""
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise GoneMeanwhile(str(file.path)) from error
    except OSError as error:
        raise BrokenFile(f"cannot be opened: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BrokenFile("not a regular file")
    return descriptor


def _for_pictures(limits: Limits, pictures: int) -> Limits:
    return replace(
        limits,
        cpu_seconds=limits.cpu_seconds + _CPU_A_PICTURE * pictures,
        wall_seconds=limits.wall_seconds + _WALL_A_PICTURE * pictures,
        memory_bytes=max(limits.memory_bytes, _MEMORY_FOR_PICTURES),
        pictures=pictures,
    )
