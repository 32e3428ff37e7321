"""The jail's side of one worker: it is started, asked, watched by the clock, and replaced when it dies."""

from __future__ import annotations

import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64decode
from dataclasses import asdict, dataclass
from typing import Any

import kiban.errors
from kiban.domain.document import ParsedDocument, Picture, Place, Section
from kiban.errors import DocumentError, HostileFile, PartRefused

_COMMAND = (sys.executable, "-I", "-B", "-m", "kiban.backends.parsers.worker")
_START_SECONDS = 120.0  # importing every parser on a busy machine
_FILES_PER_WORKER = 500  # then a fresh one, so that no library's leak adds up
_LONGEST_READY = 1000  # bytes


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost."""

    file_bytes: int = 50 * 2**20
    cpu_seconds: float = 30.0
    wall_seconds: float = 120.0  # more, since an innocent file may wait for a busy machine
    memory_bytes: int = 2 * 2**30  # address space of the worker
    text_bytes: int = 50 * 2**20  # what comes back
    pictures: int = 0  # pages and pictures without text that may be read by OCR
    thumbnails: int = 0  # pictures that are given back, made small


class _Nonsense(Exception):
    """A reply that no sane worker gives."""


class WorkerProcess:
    """One confined process, started with the first file it is asked about."""

    def __init__(self, limits: Limits, parse: str) -> None:
        self.limits = limits
        self._parse = parse  # "module:function", imported by the worker
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._lines: tuple[str, ...] = ()
        self._files = 0
        self._lock = threading.Lock()

    def ask(self, name: str, descriptor: int) -> ParsedDocument:
        """Return what an open file says. Raises a DocumentError; PartRefused if no worker starts.

        A reply must carry the word this request was given. What an earlier file left behind in the socket has
        no such word: then the worker is replaced, and this file is asked of a new one.
        """
        with self._lock:
            try:
                return self._asked(name, descriptor)
            except _Nonsense:
                self._stop()
            try:
                os.lseek(descriptor, 0, os.SEEK_SET)
                return self._asked(name, descriptor)
            except _Nonsense as error:
                self._stop()
                raise HostileFile("its parser replied nothing sensible") from error

    def _asked(self, name: str, descriptor: int) -> ParsedDocument:
        process, connection = self._ready()
        self._files += 1
        word = secrets.token_hex(16)
        try:
            socket.send_fds(connection, [json.dumps([word, name]).encode()], [descriptor])
            reply = self._line(process, connection, self.limits.wall_seconds, 2 * self.limits.text_bytes)
        except BrokenPipeError as error:
            reason = _obituary(process)
            self._stop()
            raise HostileFile(reason) from error
        except BaseException:
            self._stop()
            raise
        if not reply.startswith(word.encode()):
            raise _Nonsense
        return _document(reply[len(word) :])

    def lines_of_defence(self) -> tuple[str, ...]:
        """Return what confines the worker on this machine. Raises PartRefused."""
        with self._lock:
            self._ready()
            return self._lines

    def memory(self) -> int:
        """Return the most bytes the worker in service has held; 0 when there is none, or no one counts."""
        with self._lock:
            if self._process is None:
                return 0
            try:
                with open(f"/proc/{self._process.pid}/status") as status:
                    peaks = [int(line.split()[1]) for line in status if line.startswith("VmHWM:")]
            except OSError:  # it has just died
                return 0
            return 1024 * sum(peaks)

    def cpu_seconds(self) -> float:
        """Return the CPU time of the worker in service; 0 when there is none."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                return 0.0
            return time.clock_gettime((~self._process.pid << 3) | 2)  # as clock_getcpuclockid(3) makes it

    def close(self) -> None:
        with self._lock:
            self._stop()

    def _ready(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        if self._files >= _FILES_PER_WORKER or (self._process and self._process.poll() is not None):
            self._stop()
        if self._process is None or self._socket is None:
            self._start()
        assert self._process is not None and self._socket is not None
        return self._process, self._socket

    def _start(self) -> None:
        ours, its = socket.socketpair()
        self._socket = ours
        with its:
            self._process = subprocess.Popen(
                [*_COMMAND, self._parse, json.dumps(asdict(self.limits))],
                stdin=its.fileno(),
                stdout=subprocess.DEVNULL,  # what libraries print is no reply
                stderr=subprocess.DEVNULL,
                env={"LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                start_new_session=True,  # a Ctrl-C is for us, who stop the worker in order
            )
        try:
            ready = self._line(self._process, ours, _START_SECONDS, _LONGEST_READY)
        except HostileFile as error:
            self._stop()
            raise PartRefused(f"the parser's worker did not start: {error.detail}") from error
        self._lines = tuple(json.loads(ready))

    def _stop(self) -> None:
        process, connection = self._process, self._socket
        self._process, self._socket, self._files = None, None, 0
        if process is not None:
            process.kill()
            process.wait()
        if connection is not None:
            connection.close()

    @staticmethod
    def _line(
        process: subprocess.Popen[bytes], connection: socket.socket, seconds: float, most: int
    ) -> bytes:
        """Return one line. Raises HostileFile when it is late, too long, or never comes."""
        deadline = time.monotonic() + seconds
        line = bytearray()
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([connection], [], [], left)[0]:
                raise HostileFile(f"not read within {seconds:g} s")
            piece = _received(connection)
            if not piece:
                raise HostileFile(_obituary(process))
            line += piece
            if len(line) > most:
                raise HostileFile(f"more than {most:,} bytes of text")
        return bytes(line)


def _received(connection: socket.socket) -> bytes:
    try:
        return os.read(connection.fileno(), 2**20)
    except ConnectionResetError:  # it died with our request unread
        return b""


def _obituary(process: subprocess.Popen[bytes]) -> str:
    code = process.wait()
    if code == -signal.SIGXCPU:
        return "it takes too much CPU time"
    died_of = signal.Signals(-code).name if code < 0 else f"exit {code}"
    return f"its parser died ({died_of})"


def _document(line: bytes) -> ParsedDocument:
    """Return what a reply says. A worker that a file took over may say anything: then it is _Nonsense."""
    try:
        reply: dict[str, Any] = json.loads(line)
        if "error" not in reply:
            sections = [Section(str(text), Place(*place)) for text, *place in reply["sections"]]
            unread = [Place(*place) for place in reply["unread"]]
            pictures = [_picture(*picture) for picture in reply["pictures"]]
            return ParsedDocument(str(reply["title"]), tuple(sections), tuple(unread), tuple(pictures))
        kind, detail = getattr(kiban.errors, reply["error"]), str(reply["detail"])
        refusal = kind(detail) if issubclass(kind, DocumentError) else HostileFile(detail)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _Nonsense from error
    raise refusal


def _picture(at: int, width: int, height: int, rgb: str, caption: str) -> Picture:
    picture = Picture(int(at), int(width), int(height), b64decode(rgb, validate=True), str(caption))
    if min(picture.width, picture.height) < 1 or len(picture.rgb) != 3 * picture.width * picture.height:
        raise ValueError(f"{width} × {height} pixels in {len(picture.rgb)} bytes")
    return picture
