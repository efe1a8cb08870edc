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


def die_with_parent() -> None:
    """Ask Linux to end this process when its parent is killed, so that none writes on alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
