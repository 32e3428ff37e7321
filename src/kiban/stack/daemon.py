"""A process that outlives us: started in a session of its own, known again by its number and birth."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from kiban.errors import PartRefused
from kiban.settings import ROOT

_launched: list[subprocess.Popen[bytes]] = []  # Python warns when the handle of a living process is dropped


@dataclass(frozen=True)
class Daemon:
    """One part that is a process. `folder` keeps its record, `port_field` is the setting that names its
    port, `check` refuses what cannot start."""

    name: str
    command: tuple[str, ...]
    environment: Callable[[], Mapping[str, str]]  # asked at the start: it may hold a fresh password
    folder: Path
    log: Path
    host: str = "127.0.0.1"
    port: int | None = None
    port_field: str = ""
    check: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Start it detached from us. Raises PartRefused when its port is taken or `check` refuses."""
        self.check()
        self._refuse_taken_port()
        environment = self.environment()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            log.write(f"\n=== {' '.join(self.command)}\n".encode())
            log.flush()
            child = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env={**_inherited(), **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _launched.append(child)
        born = psutil.Process(child.pid).create_time()
        record = {"pid": child.pid, "born": born, "command": self.command, "given": _digest(environment)}
        self._record.write_text(json.dumps(record))

    def process(self) -> psutil.Process | None:
        """Return the process we started, if it lives; never another one that got its number."""
        if not self._record.exists():
            return None
        known = json.loads(self._record.read_text())
        try:
            found = psutil.Process(known["pid"])
            ours = found.create_time() == known["born"] and found.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return found if ours else None

    def outdated(self) -> bool:
        """Tell whether it runs, and would be given something else if it were started now."""
        return self.process() is not None and self._recorded("given") != _digest(self.environment())

    def replaced(self) -> bool:
        """Tell whether it runs, and another command would be started now."""
        return self.process() is not None and self._recorded("command") != list(self.command)

    def stop(self, grace: float) -> None:
        """Ask it to end; after `grace` seconds end it and all its children. Does nothing if it is gone."""
        process = self.process()
        if process is not None:
            family = [process, *process.children(recursive=True)]
            process.terminate()
            psutil.wait_procs([process], timeout=grace)
            _, left = psutil.wait_procs(family, timeout=1)
            for member in left:
                member.kill()
            psutil.wait_procs(left, timeout=5)
        self._record.unlink(missing_ok=True)

    def pid(self) -> int | None:
        process = self.process()
        return process.pid if process else None

    def born(self) -> float:
        """Return when it was started, seconds since the epoch; 0 if it does not run."""
        process = self.process()
        return float(process.create_time()) if process else 0.0

    def memory(self) -> int:
        """Return the memory of it and its children, bytes."""
        return memory(self.process())

    def last_words(self) -> str:
        return last_lines(self.log)

    @property
    def _record(self) -> Path:
        return self.folder / f"{self.name}.json"

    def _recorded(self, what: str) -> object:
        return json.loads(self._record.read_text()).get(what)

    def _refuse_taken_port(self) -> None:
        if self.port is not None and (holder := holder_of(self.host, self.port)):
            raise PartRefused(
                f"{self.name}: port {self.port} ({self.port_field}) is taken by {holder}.",
                mend=f"stop it, or set KIBAN_{self.port_field.upper()} to a free port",
            )


def _digest(environment: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(environment, sort_keys=True).encode()).hexdigest()


def memory(process: psutil.Process | None) -> int:
    """Return the memory of a process and its descendants, bytes: the proportional share (Linux's PSS), in
    which a page that several processes share counts once; resident memory where PSS is not readable."""
    if process is None:
        return 0
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return sum(map(_share, family))


def _share(process: psutil.Process) -> int:
    try:
        rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        return next(int(line.split()[1]) << 10 for line in rollup.splitlines() if line.startswith("Pss:"))
    except (OSError, StopIteration):
        pass  # not ours to read, or just gone
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def last_lines(log: Path, lines: int = 8) -> str:
    """Return the end of a log."""
    if not log.exists():
        return f"(no log at {log})"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def holder_of(host: str, port: int) -> str | None:
    """Name the process that listens on a port as far as we may know; None if the port is free."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do
        try:
            attempt.bind((host, port))
        except OSError:
            pass
        else:
            return None
    for connection in psutil.net_connections("tcp"):
        listening = connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
        if listening and connection.pid:
            return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return "another process"


def _inherited() -> dict[str, str]:
    # Bytecode is worth writing for servers, and somebody's path or site is none of theirs.
    foreign = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"}
    return {key: value for key, value in os.environ.items() if key not in foreign}
