"""How much of the machine this process may use, and processes that end with their parent."""

import ctypes
import math
import os
import platform
import signal
import sys
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_CGROUP_2 = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_1 = Path("/sys/fs/cgroup/cpu")
_CGROUPS = Path("/sys/fs/cgroup")
_NATIVE_BF16 = ("avx512_bf16", "amx_bf16", "bf16")  # x86, x86, ARM


def available_cpus() -> int:
    """CPUs that this process may use, at least 1.

    A scheduler binds a process to some of the machine's (affinity); a container is often not bound
    but given a share of their time (a cgroup's quota), which as many busy processes would exceed.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _quota()
    return max(1, min(bound or 1, math.ceil(quota) if quota else bound or 1))


def processor_name() -> str:
    """What the processor calls itself; the machine's architecture where the system does not say."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def has_native_bf16() -> bool:
    """Whether the processor multiplies in bf16 itself; where it does not, bf16 is slower."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return any(flag in line.split() for flag in _NATIVE_BF16)
    return False


def available_memory() -> int:
    """Bytes of RAM that this process can still get: the machine's, or its control group's."""
    with suppress(OSError, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
        return min([free, *_cgroup_memory()])
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def peak_memory() -> int | None:
    """Most bytes that this process held so far; what ran before in its place does not count."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return None
    lines = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return next((1024 * int(line.split()[1]) for line in lines), None)


def _cgroup_memory() -> list[int]:
    """Bytes that each control group around this process leaves, where it has a limit.

    File pages that can be dropped count as used by the group, and are free for whoever asks.
    """
    groups = []
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                place = _CGROUPS / path.lstrip("/")
                inside = [place, *place.parents]
                tree = [one for one in inside if one.is_relative_to(_CGROUPS)]
                groups += [(one, "memory.max", "memory.current") for one in tree]
            elif "memory" in controllers.split(","):
                place = _CGROUPS / "memory" / path.lstrip("/")
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
                # In a container the group is mounted at the root.
                groups += [(one, *names) for one in (place, _CGROUPS / "memory")]
    left = []
    for folder, most, used in groups:
        with suppress(OSError, ValueError):  # "max", or no such file
            limit, taken = (int((folder / name).read_text()) for name in (most, used))
            pairs = (line.split() for line in (folder / "memory.stat").read_text().splitlines())
            droppable = {name: int(value) for name, value in pairs}.get("inactive_file", 0)
            left.append(max(0, limit - taken + droppable))
    return left


def _quota() -> float | None:
    """CPUs' worth of time that the control group leaves this process; None for no limit."""
    try:
        if _CGROUP_2.is_file():
            limit, period = _CGROUP_2.read_text().split()
        else:
            limit = (_CGROUP_1 / "cpu.cfs_quota_us").read_text()
            period = (_CGROUP_1 / "cpu.cfs_period_us").read_text()
        return int(limit) / int(period) if int(limit) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):  # "max", or no control groups here
        return None


def die_with_parent(number: signal.Signals = signal.SIGKILL) -> None:
    """Ask Linux for a signal to this process when its parent is killed, so that none writes on
    alone.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
