"""What a parser's process is kept from: the network, the files of this machine, programs, and using it up.

Four lines of defence, each of which holds where another is missing: an empty network namespace (forbidden in
some containers), landlock (Linux 5.13), a system call filter, and limits on memory, CPU time and file size.
They work for root and for ordinary users, and none asks for a right that a container usually withholds.
"""

from __future__ import annotations

import ctypes
import mimetypes
import resource
import sys
import sysconfig
from pathlib import Path

import kiban
from kiban.backends.parsers.landlock import see_only
from kiban.backends.parsers.seccomp import refuse_system_calls

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000  # of unshare(2)
# Besides the interpreter: shared libraries, fonts for pages that bring none, time zones, names of media
# types, and what the machine has.
_SYSTEM = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache"),
    *("/usr/share/fonts", "/usr/share/zoneinfo", "/etc/localtime", *mimetypes.knownfiles),
    *("/dev/null", "/dev/urandom", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu"),
)


def confine(memory_bytes: int, *, threads: bool) -> tuple[str, ...]:
    """Confine this process for good; return the lines of defence that hold. Call it before any import that
    starts threads: a namespace is entered by a process with one thread only."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    lines = ["limits"]
    if _leave_network():
        lines.append("network namespace")
    if version := see_only(_readable()):
        lines.append(f"landlock {version}")
    if refuse_system_calls(threads=threads):
        lines.append("seccomp")
    elif not threads:
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))  # no child, no thread (root is exempt)
    return tuple(lines)


def _leave_network() -> bool:
    """Enter a network namespace without interfaces; in a user namespace of its own, root's rights go too."""
    libc = ctypes.CDLL(None, use_errno=True)
    return any(libc.unshare(what) == 0 for what in (_NEW_USER | _NEW_NETWORK, _NEW_NETWORK))


def _readable() -> list[Path]:
    """Return where code lies: not the working folder, not the checkout, which may hold documents and keys."""
    libraries = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    own = Path(kiban.__file__).parent
    return [*map(Path, sorted(libraries)), Path(sys.base_prefix, "lib"), own, *map(Path, _SYSTEM)]
