"""What a part of the drill saw."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .cases import Case
from .compare import differences, rows_lost
from .processes import Command

_SHOWN = 15  # last lines of what a command printed


@dataclass
class Outcome:
    """Half a row of the drill's table; without `faults` it is passed.

    times: How often something was broken.
    """

    times: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)
    lost_rows: int = 0

    def __str__(self) -> str:
        verdict = "FAILED" if self.faults else "passed"
        lost = f"  rows of metrics.csv lost: {self.lost_rows}" if self.lost_rows else ""
        return f"{self.times:>3} x  {verdict}  {self.seconds:5.0f} s{lost}"

    @contextmanager
    def timed(self) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self.seconds += time.monotonic() - begin

    def expect_success(self, command: Command, says: str = "") -> None:
        """Run a command that shall end well, and print `says`."""
        code, printed = command.run()
        if code:
            self.faults.append(f"exit code {code}: {last_lines(printed)}")
        elif says not in printed:
            self.faults.append(f"does not say {says!r}: {last_lines(printed)}")

    def expect_error(self, code: int, printed: str, *says: str) -> None:
        """What a command printed shall end in one clear error that holds all words."""
        lines = printed.strip().splitlines() or [""]
        reason = "\n".join(lines[next((i for i, s in enumerate(lines) if "error: " in s), 0) :])
        clear = code > 0 and "error: " in reason and "Traceback" not in printed
        if not (clear and all(word in reason for word in says)):
            self.faults.append(f"exit code {code}, no clear error: {last_lines(printed)}")

    def expect_same(self, whole: Path, case: Case) -> None:
        """The case's folder shall hold what an undisturbed run leaves."""
        self.faults += differences(whole, case.folder, may_lack=self.times)
        self.lost_rows += rows_lost(whole, case.folder)


def last_lines(printed: str) -> str:
    return "\n".join(printed.strip().splitlines()[-_SHOWN:])
