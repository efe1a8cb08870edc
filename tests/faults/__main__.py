"""The fault drill: `python -m tests.faults [--only WORD] [--kills N] [--seed N]`.

Kills, fills disks, damages files, and looks whether anything is lost or silently wrong. It takes
about eight minutes on two cores; the exit code is 1 where something failed.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from . import cases, damage
from .kills import drill_kills
from .outcome import Outcome
from .small_disk import drill_full_disk

COMMANDS = {f.__name__: f for f in (cases.train, cases.sweep, cases.evaluate, cases.predict)}
# Bytes: about half of what the command writes, and less than the largest file among it.
ROOM = {"train": (44 << 20, 4 << 20), "evaluate": (80 << 10, 8 << 10), "predict": (300 << 10, 4096)}

Part = Callable[[Path], Outcome]


def main() -> int:
    words = _parse()
    with tempfile.TemporaryDirectory(prefix="faults-", dir=words.folder) as name:
        folder = Path(name)
        parts = _parts(cases.data(folder / "data"), folder / "whole", words.kills, words.seed)
        chosen = {name: part for name, part in parts.items() if words.only in name}
        rows = [_carry_out(name, part, folder / "part" / name) for name, part in chosen.items()]
    print("\n" + "\n".join(row for row, _ in rows))
    return 0 if all(passed for _, passed in rows) else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", default="", help="only the parts whose name holds this word")
    parser.add_argument("--kills", type=int, default=12, help="of each command")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--folder", help="where to work; else the system's temporary folder")
    return parser.parse_args()


def _parts(root: Path, wholes: Path, kills: int, seed: int) -> dict[str, Part]:
    """The drill by the names of its parts, each of which gets a folder."""

    @cache
    def whole(name: str) -> Path:
        """What the command leaves when nothing disturbs it."""
        print(f"  undisturbed: {name}", flush=True)
        case = COMMANDS[name](root, wholes / name)
        code, printed = case.first.run()
        assert code == 0, printed
        return case.folder

    parts: dict[str, Part] = {}
    for name, case in COMMANDS.items():
        make = partial(case, root)
        parts[f"{name} is killed"] = lambda folder, name=name, make=make: drill_kills(
            make, whole(name), folder, kills, seed
        )
    for name, room in ROOM.items():
        make = partial(COMMANDS[name], root)
        parts[f"{name} fills the disk"] = lambda folder, name=name, make=make, room=room: (
            drill_full_disk(make, whole(name), folder, *room)
        )
    for title, drill in damage.PARTS.items():
        parts[title] = lambda folder, drill=drill: drill(root, whole("train"), folder)
    return parts


def _carry_out(name: str, part: Part, folder: Path) -> tuple[str, bool]:
    print(f"== {name}", flush=True)
    outcome = part(folder)
    for fault in outcome.faults:
        print(f"  fault: {fault}")
    row = f"{name:<44} {outcome}"
    print(row, flush=True)
    return row, not outcome.faults


if __name__ == "__main__":
    sys.exit(main())
