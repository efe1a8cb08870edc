"""A full disk: a command runs out of room, says so, and goes on once there is room."""

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from src.training import checkpoints

from .kills import Make
from .outcome import Outcome

_FULL = ("No space left on device", "File too large")


class SmallDisk:
    """A folder with little room until `make_room`.

    It is a tmpfs where this process may mount one; elsewhere no file may grow large.

    Args:
        folder: Where it appears.
        room: Bytes of the tmpfs.
        largest: Bytes of the largest file without one.
    """

    def __init__(self, folder: Path, room: int, largest: int) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.mounted = _mount(folder, f"size={room}")
        if not self.mounted:
            self._hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, self._hard))

    def make_room(self) -> None:
        if self.mounted:
            _mount(self.folder, "remount,size=1g")
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self._hard, self._hard))

    def close(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)
        else:
            self.make_room()


@contextmanager
def small_disk(folder: Path, room: int, largest: int) -> Iterator[SmallDisk]:
    disk = SmallDisk(folder, room, largest)
    try:
        yield disk
    finally:
        disk.close()


def drill_full_disk(make: Make, whole: Path, folder: Path, room: int, largest: int) -> Outcome:
    """Run a command without enough room, then with it.

    Args:
        make: The case in a working folder.
        whole: What the undisturbed command left.
        folder: Of the disk.
        room: Bytes on the disk; half of what the command writes, about.
        largest: See `SmallDisk`.
    """
    outcome = Outcome(times=1)
    with outcome.timed(), small_disk(folder, room, largest) as disk:
        case = make(folder)
        code, printed = case.first.run()
        outcome.expect_error(code, printed, "Make room, then")
        if not any(word in printed for word in _FULL):
            outcome.faults.append("does not say that the disk is full")
        recent = list(case.folder.glob("checkpoints/recent-*.ckpt"))
        if any(not checkpoints.is_whole(path) for path in recent):
            outcome.faults.append("a checkpoint was left damaged")
        disk.make_room()
        outcome.expect_success(case.again)
        outcome.expect_same(whole, case)
    return outcome


def _mount(folder: Path, options: str) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
