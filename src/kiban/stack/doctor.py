"""`kiban doctor`: everything that could stop the stack from working here, each with its mend."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from kiban.backends.parsers.jail import JailedParser
from kiban.errors import PartRefused
from kiban.settings import ROOT, Settings
from kiban.stack import machine
from kiban.stack.daemon import Daemon, holder_of
from kiban.stack.machine import Finding
from kiban.stack.supervisor import Part

DISK_GIB = 4.0  # for indexes, candidates and logs; the environments are there already
_LINES = ("limits", "network namespace", "landlock", "seccomp")  # of the parsers' jail
UV = ROOT / ".bootstrap" / "uv" / "bin" / "uv"


def examine(settings: Settings, parts: list[Part]) -> Iterator[Finding]:
    """Look at the machine, the environments, the ports and the parts that are somebody else's."""
    gpu = machine.uses_gpu(settings.device)
    yield from machine.examine(settings.state, gpu=gpu, disk_gib=DISK_GIB)
    yield _environment(".venv")
    yield _environment(
        ".venv-serve",
        needed=not settings.vllm_urls or bool(settings.other_llm and not settings.other_vllm_urls),
    )
    yield _jail()
    for part in parts:
        yield from _part(part)


def _jail() -> Finding:
    """Say which lines of defence confine the parsers here; one that keeps them off the network is needed."""
    try:
        with JailedParser() as parser:
            lines = parser.lines_of_defence()
    except PartRefused as error:
        return Finding("parser jail", False, error.detail, "rm -r .venv && make setup")
    missing = [name for name in _LINES if not any(line.startswith(name) for line in lines)]
    detail = ", ".join(lines) + (f"; not here: {', '.join(missing)}" if missing else "")
    mend = "Linux 5.13 or newer with landlock, and a container that allows user namespaces or seccomp"
    return Finding(
        "parser jail", not missing, detail, mend, needed={"network namespace", "seccomp"} <= {*missing}
    )


def _environment(folder: str, *, needed: bool = True) -> Finding:
    python = ROOT / folder / "bin" / "python"
    if not python.exists():
        return Finding(folder, False, "missing", "make setup", needed)
    if not UV.exists():
        return Finding(
            folder, False, "not made by this checkout's setup, so not checked", "make setup", False
        )
    asked = subprocess.run(
        [UV, "pip", "check", "--python", python], capture_output=True, text=True, check=False
    )
    words = asked.stderr.strip().splitlines()
    return Finding(folder, asked.returncode == 0, words[-1] if words else "", f"rm -r {folder} && make setup")


def _part(part: Part) -> Iterator[Finding]:
    if part.runner is None:
        health = part.probe()
        detail = f"{part.url} {health.version or health.detail}"
        yield Finding(part.name, health.ok, detail, "start it, or leave its address out of the settings")
    elif isinstance(part.runner, Daemon) and part.runner.port is not None and part.runner.pid() is None:
        holder = holder_of(part.runner.host, part.runner.port)
        field = part.runner.port_field
        detail = f"{part.runner.port} ({field}) is {f'taken by {holder}' if holder else 'free'}"
        mend = f"stop it, or set KIBAN_{field.upper()} to a free port"
        yield Finding(f"port of {part.name}", holder is None, detail, mend)
