"""What Kiban needs of a machine. Standard library only: setup asks before anything is installed."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GIB = 1 << 30
PYTHONS = ((3, 11), (3, 14))  # first and last that vLLM 0.32 supports
MEMORY_GIB = 8  # vLLM with the default model takes 5.4 GiB, the other parts 1.5 GiB


@dataclass(frozen=True)
class Finding:
    """One thing looked at. What is `needed` and not `ok` is refused; the rest is a warning."""

    name: str
    ok: bool
    detail: str
    mend: str = ""
    needed: bool = True


def has_gpu() -> bool:
    """Whether NVIDIA's driver answers and knows a GPU."""
    if shutil.which("nvidia-smi") is None:
        return False
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return listed.returncode == 0 and "GPU" in listed.stdout


def uses_gpu(device: str) -> bool:
    """Whether the setting "auto", "cpu" or "gpu" means a GPU on this machine."""
    return has_gpu() if device == "auto" else device == "gpu"


def examine(folder: Path, *, gpu: bool, disk_gib: float) -> Iterator[Finding]:
    """Look at the machine. `folder` is where `disk_gib` (GiB) will be written."""
    yield _python()
    yield _system()
    yield _compiler()
    yield _memory()
    yield _disk(folder, disk_gib)
    if not gpu:
        yield from libraries()


def libraries() -> Iterator[Finding]:
    """Look for what vLLM's CPU build calls at run time."""
    yield _libnuma()
    yield _lscpu()


def _python() -> Finding:
    first, last = (".".join(map(str, version)) for version in PYTHONS)
    ok = PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]
    mend = f"name one: make PYTHON=/path/to/python{first}"
    return Finding("Python", ok, f"{platform.python_version()}, wanted {first} to {last}", mend)


def _system() -> Finding:
    found = f"{platform.system()} {platform.machine()} {' '.join(platform.libc_ver())}".strip()
    glibc = platform.libc_ver()[1]
    recent = glibc != "" and tuple(map(int, glibc.split(".")[:2])) >= (2, 28)
    ok = platform.system() == "Linux" and platform.machine() == "x86_64" and recent
    return Finding("system", ok, f"{found}, wanted Linux x86_64 with glibc >= 2.28", "use such a machine")


def _compiler() -> Finding:
    found = next(filter(None, map(shutil.which, ("g++", "clang++", "c++"))), None)
    return Finding("C++ compiler", found is not None, found or "none found", _package("g++", "gcc-c++"))


def _memory() -> Finding:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
    mend = "add memory, or set KIBAN_LLM to a smaller model"
    return Finding("memory", total >= MEMORY_GIB, f"{total:.0f} GiB, wanted {MEMORY_GIB}", mend, needed=False)


def _disk(folder: Path, wanted: float) -> Finding:
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / GIB
    detail = f"{free:.0f} GiB free at {folder}, wanted {wanted:.0f}"
    return Finding("disk", free >= wanted, detail, "free some space, or put the checkout on a larger disk")


def _libnuma() -> Finding:
    try:
        ctypes.CDLL("libnuma.so.1")
    except OSError:
        return Finding("libnuma", False, "vLLM needs libnuma.so.1", _package("libnuma1", "numactl-libs"))
    return Finding("libnuma", True, "libnuma.so.1")


def _lscpu() -> Finding:
    found = shutil.which("lscpu")
    return Finding("lscpu", found is not None, found or "vLLM needs it", _package("util-linux", "util-linux"))


def _package(debian: str, red_hat: str) -> str:
    return f"dnf install {red_hat}" if shutil.which("dnf") else f"apt-get install {debian}"
