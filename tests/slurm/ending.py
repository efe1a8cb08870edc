"""Ends all processes of a cluster once the tests are done, or killed.

`python ending.py <slurm.conf>` waits for the end of its standard input, which comes either way.
"""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path


def processes_of(settings: str) -> dict[int, list[bytes]]:
    """The environments of all processes that were started for a slurm.conf, by their numbers."""
    mine, found = f"SLURM_CONF={settings}".encode(), {}
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it has ended meanwhile
            variables = path.read_bytes().split(b"\0")
            if mine in variables:
                found[int(path.parent.name)] = variables
    return found


def kill(processes: list[int]) -> None:
    """Kill processes, of which some may have ended already."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


if __name__ == "__main__":
    sys.stdin.read()
    while left := processes_of(sys.argv[1]):
        kill([process for process in left if process != os.getpid()])
        time.sleep(0.05)
