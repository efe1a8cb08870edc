"""SIGKILL at random moments of a command, each time continued until it is done."""

import random
import time
from collections.abc import Callable
from pathlib import Path

from .cases import Case
from .outcome import Outcome, last_lines
from .processes import kill, signature, wait_for_changes

_MOST_DELAY = 0.3  # seconds from a change of a file to the kill

Make = Callable[[Path], Case]


def drill_kills(make: Make, whole: Path, folder: Path, kills: int, seed: int = 0) -> Outcome:
    """Kill a command so often, and compare what it leaves in the end with an undisturbed one.

    Args:
        make: The case in a working folder.
        whole: What the undisturbed command left.
        folder: For the runs; one subfolder each.
        kills: At least so many; a command that is done too soon starts anew.
        seed: Of the moments.
    """
    outcome, rng = Outcome(), random.Random(seed)
    with outcome.timed():
        for attempt in range(kills):
            case = make(folder / str(attempt))
            _until_done(case, rng, kills, outcome)
            outcome.expect_same(whole, case)
            if outcome.times >= kills or outcome.faults:
                break
    return outcome


def _until_done(case: Case, rng: random.Random, kills: int, outcome: Outcome) -> None:
    """Kill and continue until it was killed often enough or was faster, then let it finish."""
    command = case.first
    while outcome.times < kills:
        process = command.start()
        changes = rng.randint(1, case.pace)
        if wait_for_changes(process, lambda: signature(case.folder), changes):
            time.sleep(rng.uniform(0, _MOST_DELAY))
        if process.poll() is not None:
            printed = process.communicate()[0]
            if process.returncode:
                outcome.faults.append(f"exit code {process.returncode}: {last_lines(printed)}")
            return
        if orphans := kill(process):
            outcome.faults.append(f"{len(orphans)} of its processes lived on")
        outcome.times += 1
        print(f"  {outcome.times} after {changes} changes", flush=True)
        command = case.again
    outcome.expect_success(command)
