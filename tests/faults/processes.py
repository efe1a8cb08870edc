"""Starts a command, waits until it is in the middle of something, and kills it."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path

from tests.forked import is_server
from tests.running import start

PATIENCE = 280.0  # seconds that anything may take on a busy machine
_POLL = 0.004


@dataclass(frozen=True)
class Command:
    """A command with its arguments, as typed in `cwd`."""

    script: str
    words: tuple[str, ...]
    cwd: Path

    def start(self) -> "subprocess.Popen[str]":
        self.cwd.mkdir(parents=True, exist_ok=True)
        return start(self.script, self.words, self.cwd)

    def run(self) -> tuple[int, str]:
        """Exit code and everything printed."""
        process = self.start()
        output, _ = process.communicate(timeout=PATIENCE)
        return process.returncode, output


def signature(folder: Path) -> Hashable:
    """Changes with every file that is made, written to or removed below a folder."""
    found = []
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                status = os.stat(os.path.join(parent, name))  # noqa: PTH118, PTH116 - polled
            except FileNotFoundError:
                continue
            found.append((parent, name, status.st_size, status.st_mtime_ns))
    return frozenset(found)


def wait_for_changes(
    process: "subprocess.Popen[str]", state: Callable[[], Hashable], count: int
) -> bool:
    """Wait until a state has changed so often; False where the process ends before."""
    deadline, last = time.monotonic() + PATIENCE, state()
    while count > 0:
        if process.poll() is not None:
            return False
        if time.monotonic() > deadline:
            process.kill()
            raise TimeoutError(f"nothing happened in {PATIENCE:.0f} s: {process.args}")
        time.sleep(_POLL)
        if (now := state()) != last:
            last, count = now, count - 1
    return True


def kill(process: "subprocess.Popen[str]", seconds: float = 20) -> list[int]:
    """SIGKILL one process, as a batch system or the kernel does; return children that live on.

    It is stopped first, so that its list of children is the one it dies with.
    """
    process.send_signal(signal.SIGSTOP)
    family = {pid: born for pid in descendants(process.pid) if (born := _born(pid))}
    process.kill()
    process.wait()
    deadline = time.monotonic() + seconds
    while alive := [pid for pid, born in family.items() if _born(pid) == born]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    if process.stdout is not None:
        process.stdout.close()
    return alive


def descendants(pid: int) -> list[int]:
    """Children of a process, their children, and so on."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or is_server(int(folder.name)):
            continue
        if fields := _status(int(folder.name)):
            parents[int(folder.name)] = int(fields[1])
    found, new = [], [pid]
    while new:
        new = [child for child, parent in parents.items() if parent in new]
        found += new
    return found


def _born(pid: int) -> str | None:
    """When a process was started; tells it from a later one of its number. None if it is gone."""
    fields = _status(pid)
    return None if fields is None or fields[0] == "Z" else fields[19]


def _status(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rsplit(")", 1)[1].split()
