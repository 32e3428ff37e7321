"""What a stretch of training costs: time, memory, energy. What cannot be read is unknown, never estimated."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from pathlib import Path

import torch

from kiban.domain.learning import Cost

POWERCAP = Path("/sys/class/powercap")  # where Linux keeps the counters of Intel's and AMD's processors
PROCESS = Path("/proc/self")
NVML = "libnvidia-ml.so.1"  # comes with NVIDIA's driver

Joules = Callable[[], float | None]  # counted since some moment in the past; None where nothing counts


class Meter:
    """Counts from its making on, and on top of `before`, which earlier runs of the same training cost.

    Energy is that of the device that computes: the processors' packages by RAPL, or the GPU by NVML. It
    includes whatever else ran on the device. Most virtual machines show neither, and many systems show RAPL
    to root alone (CVE-2020-8694).
    """

    def __init__(self, device: str, before: Cost | None = None, joules: Joules | None = None) -> None:
        self._on_gpu = device != "cpu"
        self._before = before or Cost()
        self._joules = joules or (Gpu() if self._on_gpu else Processors())
        self._began = time.monotonic()
        self._counted = self._joules()
        if self._on_gpu:
            torch.cuda.reset_peak_memory_stats()
        else:
            _forget_peak()

    def cost(self) -> Cost:
        """Return what was spent until now."""
        now = self._joules()
        known = None if now is None or self._counted is None else now - self._counted
        peak = torch.cuda.max_memory_allocated() if self._on_gpu else _peak_bytes()
        return self._before.plus(Cost(time.monotonic() - self._began, peak, known))


class Processors:
    """The energy of all processor packages, by Linux's powercap interface.

    Counters wrap; at a few hundred watts one lasts for minutes, so each call must come before the next turn:
    trainers ask at every step.
    """

    def __init__(self, powercap: Path = POWERCAP) -> None:
        self._packages = sorted(powercap.glob("intel-rapl:[0-9]*"))
        self._packages = [package for package in self._packages if package.name.count(":") == 1]
        self._last: list[int] = []
        self._sum = 0  # microjoules

    def __call__(self) -> float | None:
        try:
            read = [int((package / "energy_uj").read_text()) for package in self._packages]
            turns = [int((package / "max_energy_range_uj").read_text()) for package in self._packages]
        except OSError:
            return None
        for before, now, turn in zip(self._last, read, turns, strict=False):
            self._sum += now - before if now >= before else now - before + turn
        self._last = read
        return self._sum / 1e6 if read else None


class Gpu:
    """The energy of the first GPU since its driver was loaded, by NVML; Volta and newer count it."""

    def __init__(self, library: str = NVML) -> None:
        self._device = ctypes.c_void_p()
        try:
            self._nvml: ctypes.CDLL | None = ctypes.CDLL(library)
        except OSError:
            self._nvml = None
            return
        if self._nvml.nvmlInit_v2() or self._nvml.nvmlDeviceGetHandleByIndex_v2(
            0, ctypes.byref(self._device)
        ):
            self._nvml = None

    def __call__(self) -> float | None:
        millijoules = ctypes.c_ulonglong()
        if self._nvml is None:
            return None
        failed = self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._device, ctypes.byref(millijoules))
        return None if failed else millijoules.value / 1e3


def _forget_peak() -> None:
    """Let the kernel measure the peak of resident memory from now on (proc(5), clear_refs)."""
    try:
        (PROCESS / "clear_refs").write_text("5")
    except OSError:
        pass  # then it is the peak since the process began, an upper bound


def _peak_bytes() -> int:
    for line in (PROCESS / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
