"""A filter that refuses a process the system calls a parser has no use for (seccomp(2), no library).

What it refuses fails with EPERM, as it would for somebody without the right to it: connections, programs,
files opened for writing, other processes, mounts, and the doors around these (io_uring, bpf, user faults).
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

_MACHINE = "x86_64"
_ARCHITECTURE = 0xC000003E  # AUDIT_ARCH_X86_64
_X32 = 0x40000000  # system calls of another ABI on the same machine

# By number, as in arch/x86/entry/syscalls/syscall_64.tbl.
_NETWORK = (41, 42, 43, 44, 46, 49, 50, 53, 288, 307)  # socket connect accept sendto sendmsg bind listen …
_PROCESSES = (
    57,
    58,
    59,
    62,
    101,
    129,
    200,
    297,
    310,
    311,
    322,
    424,
    434,
    438,
    440,
)  # fork exec kill ptrace …
_FILES = (
    *(76, 77, 82, 83, 84, 85, 86, 87, 88, 90, 91, 92, 93, 94),  # truncate rename mkdir … lchown
    *(132, 133, 188, 189, 190, 197, 198, 199, 235),  # utime mknod setxattr … utimes
    *(258, 259, 260, 261, 263, 264, 265, 266, 268, 280, 316, 319, 452),  # mkdirat … memfd_create fchmodat2
)
_MACHINE_WIDE = (
    *(29, 64, 68, 105, 106, 135, 155, 161, 163, 164, 165, 166, 167, 168, 169, 170, 171, 172, 173, 175, 176),
    *(179, 240, 241, 246, 248, 249, 250, 272, 298, 303, 304, 305, 308, 313, 320, 321, 323),
    *(425, 426, 427, 428, 429, 430, 431, 432, 433, 442),  # io_uring, the new mount calls
)
_OPEN, _OPENAT, _OPENAT2, _CLONE, _CLONE3, _TGKILL, _PRLIMIT = 2, 257, 437, 56, 435, 234, 302
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | (os.O_TMPFILE & ~os.O_DIRECTORY)
_CLONE_THREAD = 0x00010000

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_EPERM, _ENOSYS = (
    0x00050001,
    0x00050026,
)  # ENOSYS: the C library then uses the older call, which we can look into
_NUMBER, _ARCH = 0, 4  # offsets in struct seccomp_data
_SECCOMP, _SET_FILTER, _ALL_THREADS = 317, 1, 1
_PR_SET_NO_NEW_PRIVS = 38

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant


def refuse_system_calls(*, threads: bool) -> bool:
    """Confine this process for good; say whether that was possible."""
    if platform.machine() != _MACHINE or struct.calcsize("P") != 8:
        return False
    packed = [struct.pack("<HBBI", *instruction) for instruction in _program(threads=threads)]
    code = ctypes.create_string_buffer(b"".join(packed))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    program = Program(len(packed), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    refused: int = libc.syscall(_SECCOMP, _SET_FILTER, _ALL_THREADS, ctypes.byref(program))
    return refused == 0


def _program(*, threads: bool) -> list[Instruction]:
    """Return the filter in classic BPF. A clone with CLONE_THREAD is a thread, every other a process."""
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH),
        (_JUMP_EQUAL, 1, 0, _ARCHITECTURE),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _EPERM),
    ]
    for number in (*_NETWORK, *_PROCESSES, *_FILES, *_MACHINE_WIDE):
        program += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _EPERM)]
    for number in (_OPENAT2, _CLONE3):
        program += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ENOSYS)]
    program += _unless(_OPEN, 1, (_JUMP_ANY_BIT, 1, 0, _WRITES))
    program += _unless(_OPENAT, 2, (_JUMP_ANY_BIT, 1, 0, _WRITES))
    program += _unless(_CLONE, 0, (_JUMP_ANY_BIT, 0, 1, _CLONE_THREAD if threads else 0))
    program += _unless(_TGKILL, 0, (_JUMP_EQUAL, 0, 1, os.getpid()))  # abort() signals itself
    program += _unless(_PRLIMIT, 0, (_JUMP_EQUAL, 0, 1, 0))  # 0 is the process itself
    return [*program, (_RETURN, 0, 0, _ALLOW)]


def _unless(number: int, argument: int, test: Instruction) -> list[Instruction]:
    """Allow a call whose argument passes `test`, which skips nothing then, and one instruction otherwise."""
    return [
        (_JUMP_EQUAL, 0, 4, number),
        (_LOAD, 0, 0, 16 + 8 * argument),  # the lower half; what we look for is there
        test,
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _EPERM),
    ]
