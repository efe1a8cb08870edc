"""How much of the machine this process may use."""

import os


def cores() -> int:
    """Cores that this process may run on: a container or a scheduler may leave it but a few."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
