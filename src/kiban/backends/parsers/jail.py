"""Parsers in a jail: a worker process with limits reads each file, and its death harms nobody.

The two speak one JSON object a line over pipes. The worker's memory, CPU time and file writes are limited
(setrlimit(2)), its environment is empty, and its parent watches the clock. A worker that dies or is late is
replaced, and its file is a HostileFile.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import kiban.errors
from kiban.domain.access import NOBODY
from kiban.domain.document import ParsedDocument, Place, Section, SourceFile
from kiban.errors import DocumentError, HostileFile, OversizeFile, PartRefused

DISPATCH = "kiban.backends.parsers.dispatch:parse"
_START_SECONDS = 120.0  # importing every parser on a busy machine
_FILES_PER_WORKER = 500  # then a fresh one, so that no library's leak adds up
_READY = b"{}\n"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost."""

    file_bytes: int = 50 * 2**20
    cpu_seconds: float = 30.0
    wall_seconds: float = 120.0  # more, since an innocent file may wait for a busy machine
    memory_bytes: int = 2 * 2**30  # address space of the worker
    text_bytes: int = 50 * 2**20  # what comes back


class JailedParser:
    """Parses in a worker process, which is started with the first file. Implements `ports.Parser`."""

    def __init__(self, limits: Limits = Limits(), *, parse: str = DISPATCH) -> None:
        self.limits = limits
        self._parse = parse  # "module:function", imported by the worker
        self._worker: subprocess.Popen[bytes] | None = None
        self._files = 0
        self._lock = threading.Lock()

    def parse(self, file: SourceFile) -> ParsedDocument:
        """Return the text of a file. Raises a DocumentError; PartRefused if no worker starts."""
        if file.size > self.limits.file_bytes:
            raise OversizeFile(f"{file.size:,} bytes, more than {self.limits.file_bytes:,}")
        with self._lock:
            worker = self._ready_worker()
            request = {"uri": file.uri, "path": str(file.path), "size": file.size, "sha256": file.sha256}
            try:
                _write(worker, request)
                reply = _read_line(worker, self.limits.wall_seconds, 2 * self.limits.text_bytes)
            except BaseException:
                self._stop()
                raise
        return _document(json.loads(reply))

    def close(self) -> None:
        with self._lock:
            self._stop()

    def __enter__(self) -> JailedParser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ready_worker(self) -> subprocess.Popen[bytes]:
        if self._files >= _FILES_PER_WORKER:
            self._stop()
        if self._worker is None or self._worker.poll() is not None:
            self._stop()
            self._worker = self._start()
        self._files += 1
        return self._worker

    def _start(self) -> subprocess.Popen[bytes]:
        limits = json.dumps(asdict(self.limits))
        worker = subprocess.Popen(
            [sys.executable, "-I", "-m", "kiban.backends.parsers.jail", self._parse, limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={"LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,  # a Ctrl-C is for us, who stop the worker in order
        )
        self._worker = worker
        try:
            if _read_line(worker, _START_SECONDS, len(_READY)) == _READY:
                return worker
        except HostileFile as error:
            self._stop()
            raise PartRefused(f"the parser's worker did not start: {error.detail}") from error
        raise AssertionError("the worker says nothing else first")

    def _stop(self) -> None:
        worker, self._worker, self._files = self._worker, None, 0
        if worker is not None:
            worker.kill()
            worker.wait()
            for pipe in (worker.stdin, worker.stdout):
                if pipe is not None:
                    pipe.close()


def _write(worker: subprocess.Popen[bytes], request: dict[str, Any]) -> None:
    assert worker.stdin is not None
    try:
        worker.stdin.write(json.dumps(request).encode() + b"\n")
    except BrokenPipeError as error:
        raise HostileFile(_obituary(worker)) from error


def _read_line(worker: subprocess.Popen[bytes], seconds: float, most: int) -> bytes:
    """Return one line. Raises HostileFile when it is late, too long, or never comes."""
    assert worker.stdout is not None
    deadline = time.monotonic() + seconds
    line = bytearray()
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([worker.stdout], [], [], left)[0]:
            raise HostileFile(f"not read within {seconds:g} s")
        piece = os.read(worker.stdout.fileno(), 2**20)
        if not piece:
            raise HostileFile(_obituary(worker))
        line += piece
        if len(line) > most:
            raise HostileFile(f"more than {most:,} bytes of text")
    return bytes(line)


def _obituary(worker: subprocess.Popen[bytes]) -> str:
    code = worker.wait()
    if code == -signal.SIGXCPU:
        return "it takes too much CPU time"
    died_of = signal.Signals(-code).name if code < 0 else f"exit {code}"
    return f"its parser died ({died_of})"


def _document(reply: dict[str, Any]) -> ParsedDocument:
    if "error" in reply:
        kind = getattr(kiban.errors, reply["error"])
        assert issubclass(kind, DocumentError)
        raise kind(reply["detail"])
    sections = [
        Section(text, Place(page, sheet, slide, heading))
        for text, page, sheet, slide, heading in reply["sections"]
    ]
    return ParsedDocument(reply["title"], tuple(sections))


# The worker's side.


def main() -> None:
    """Answer requests until the parent goes away."""
    limits = Limits(**json.loads(sys.argv[2]))
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what libraries print is no reply
    module, function = sys.argv[1].split(":")
    parse = getattr(importlib.import_module(module), function)
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))  # no child, no thread (root is exempt)
    replies.write(_READY)
    for line in sys.stdin.buffer:
        _limit_cpu(limits.cpu_seconds)
        _send(replies.fileno(), _reply(parse, json.loads(line), limits.text_bytes))


def _limit_cpu(seconds: float) -> None:
    """Allow as much CPU time from now on; the kernel counts the whole life of a process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _reply(parse: Callable[[SourceFile], ParsedDocument], request: dict[str, Any], most: int) -> bytes:
    file = SourceFile(
        request["uri"], Path(request["path"]), request["size"], request["sha256"], audience=NOBODY
    )
    try:
        document = parse(file)
        if sum(len(section.text) for section in document.sections) > most:
            raise HostileFile(f"more than {most:,} characters of text")
    except DocumentError as error:
        return json.dumps({"error": type(error).__name__, "detail": error.detail}).encode() + b"\n"
    sections = [
        (section.text, place.page, place.sheet, place.slide, place.heading)
        for section in document.sections
        for place in (section.place,)
    ]
    reply = json.dumps({"title": document.title, "sections": sections}, ensure_ascii=False)
    return reply.encode() + b"\n"


def _send(descriptor: int, reply: bytes) -> None:
    rest = memoryview(reply)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


if __name__ == "__main__":
    main()
