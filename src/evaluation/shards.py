"""`shard=2/4`: a part of the images, scored beside other parts into one output folder.

Part i of n takes every n-th pair from the i-th on, in the order of `Pairing.pairs`. It has a log
and a lock of its own, and a file, `shard-2of4.json`, that says what it scores and whether it is
done. The same command without `shard=` moves the parts' scores into its log and scores what is
missing. Scores are known by the contents of files, so that the results are those of one run.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from src.atomic import atomic_write
from src.errors import CommandError, UserError
from src.evaluation.matching import MapPair
from src.evaluation.stored_scores import Resize
from src.hashing import file_hash, value_hash
from src.metrics import describe
from src.plain_data import read_json
from src.resume_log import ResumeLog

_SHARD = re.compile(r"([0-9]{1,4})/([0-9]{1,4})", re.ASCII)
_FILE = re.compile(r"shard-([0-9]{1,4})of([0-9]{1,4})\.jsonl?", re.ASCII)
_SHOWN = 80  # characters of a value in a message


class Shard(NamedTuple):
    """Part `number` of `parts`, from 1 on."""

    number: int
    parts: int

    def __str__(self) -> str:
        return f"{self.number}/{self.parts}"

    def of(self, pairs: Sequence[MapPair]) -> list[MapPair]:
        """The pairs of this part."""
        return list(pairs[self.number - 1 :: self.parts])

    def log(self, output: Path) -> Path:
        """Where its scores are written."""
        return output / f"shard-{self.number}of{self.parts}.jsonl"

    def state(self, output: Path) -> Path:
        """Where it says what it scores and whether all is scored."""
        return self.log(output).with_suffix(".json")

    def lock(self, output: Path) -> FileLock:
        """Held by who scores it, or takes its scores over; it does not wait."""
        return FileLock(output / f".lock-{self.number}of{self.parts}", timeout=0)


def parse_shard(text: str | None) -> Shard | None:
    """The part that `shard=2/4` names.

    Raises:
        CommandError: It names none.
    """
    if text is None:
        return None
    found = _SHARD.fullmatch(text)
    shard = Shard(*map(int, found.groups())) if found else Shard(0, 0)
    if not 1 <= shard.number <= shard.parts:
        raise CommandError(
            f"shard={text}: give the number of a part and how many there are, from shard=1/4 to "
            "shard=4/4"
        )
    return shard


def settings_of(pairs: Iterable[MapPair], metrics: Sequence[str], resize: Resize) -> dict[str, Any]:
    """What all parts have to have in common, by the keys of the command.

    Maps count by their names and sizes, since no part reads them all: their contents say later
    whether a score is theirs. Ground truth and trimaps count by their contents.
    """
    listed = list(pairs)
    names = [f"{pair.set}/{pair.name}" for pair in listed]
    sizes = [_told_by(lambda path: path.stat().st_size, pair.map) for pair in listed]
    hashes = [
        (_told_by(file_hash, pair.target), pair.trimap and _told_by(file_hash, pair.trimap))
        for pair in listed
    ]
    return {
        "metrics": [describe(name) for name in metrics],
        "resize": resize,
        "maps": value_hash([names, sizes]),
        "ground_truth": value_hash([names, [ours for ours, _ in hashes]]),
        "trimaps": value_hash([ours for _, ours in hashes]),
    }


def _told_by(tell: Callable[[Path], Any], path: Path) -> Any:
    """What is known of a file; None of one that cannot be read, which is said when it is scored."""
    try:
        return tell(path)
    except OSError:
        return None


@contextmanager
def scoring_part(
    shard: Shard, output: Path, journal: Path, settings: Mapping[str, Any]
) -> Iterator[ResumeLog]:
    """Context in which nobody else scores a part; gives its log, which knows the folder's too.

    Args:
        shard: The part.
        output: The folder that all parts share.
        journal: The folder's log, of what was scored without parts.
        settings: Of `settings_of`.

    Raises:
        UserError: Another process scores this part, or another part was begun with other settings.
    """
    try:
        with shard.lock(output):
            require_same_settings(output, settings, shard)
            write_state(shard, output, settings, done=False)
            yield ResumeLog(shard.log(output), also=[journal])
    except Timeout:
        raise UserError(f"another process is scoring shard={shard} in {output}") from None


def write_state(shard: Shard, output: Path, settings: Mapping[str, Any], done: bool) -> None:
    """Write down what a part scores and whether it has."""
    said = {"shard": str(shard), "done": done, "settings": dict(settings)}
    atomic_write(shard.state(output), json.dumps(said, indent=2) + "\n")


def parts_in(output: Path) -> list[Shard]:
    """The parts of which a folder has a file, sorted."""
    found = (_FILE.fullmatch(path.name) for path in output.glob("shard-*"))
    return sorted({Shard(int(one[1]), int(one[2])) for one in found if one})


def missing_parts(output: Path) -> list[str]:
    """The parts that are not wholly scored, as the command calls them."""
    parts = parts_in(output)
    count = max((part.parts for part in parts), default=0)
    done = {part for part in parts if _state(part, output).get("done") is True}
    return [str(part) for i in range(count) if (part := Shard(i + 1, count)) not in done]


def require_same_settings(
    output: Path, settings: Mapping[str, Any], shard: Shard | None = None
) -> None:
    """Refuse parts that would not fit together.

    Args:
        output: The folder that the parts share.
        settings: Of this command.
        shard: Its part; None for one that takes all parts over.

    Raises:
        UserError: Naming the other part's file and the key in which they differ.
    """
    for part in parts_in(output):
        path = part.state(output)
        if shard is not None and part.parts != shard.parts:
            raise UserError(
                f"{path}: the work was divided into {part.parts} parts, and this is shard={shard}; "
                "divide it alike, or give another output="
            )
        theirs = _state(part, output).get("settings")
        if not isinstance(theirs, dict):
            continue  # it was stopped before it said anything, and so scored nothing
        for key, ours in settings.items():
            if theirs.get(key) != ours:
                raise UserError(f"{path}: {key} {_difference(key, theirs.get(key), ours)}")


def _difference(key: str, theirs: Any, ours: Any) -> str:
    advice = "give all parts the same command, or another output="
    if key in ("maps", "ground_truth", "trimaps"):
        return f"had other files than now; {advice}"
    if isinstance(theirs, list) and isinstance(ours, list):
        theirs, ours = ([str(one).partition(":")[0] for one in some] for some in (theirs, ours))
    return f"was {str(theirs)[:_SHOWN]}, and is {str(ours)[:_SHOWN]} now; {advice}"


def _state(part: Shard, output: Path) -> dict[str, Any]:
    path = part.state(output)
    if not path.is_file():
        return {}
    found = read_json(path, f"remove it and give shard={part} again")
    return found if isinstance(found, dict) else {}


def take_parts_over(output: Path, journal: ResumeLog, settings: Mapping[str, Any]) -> list[str]:
    """Move the scores of all parts into the folder's log, and forget the parts.

    A kill in its midst leaves scores in both places, which the next call takes for one.

    Returns:
        The parts that were not wholly scored.

    Raises:
        UserError: A part is being scored, or was begun with other settings.
    """
    parts = parts_in(output)
    with ExitStack() as stack:
        for part in parts:
            try:
                stack.enter_context(part.lock(output))
            except Timeout:
                raise UserError(
                    f"another process is scoring shard={part} in {output}; wait until it is done"
                ) from None
        require_same_settings(output, settings)
        missing = missing_parts(output)
        for part in parts:
            journal.take_over(part.log(output))
        for part in parts:
            part.log(output).unlink(missing_ok=True)
            part.state(output).unlink(missing_ok=True)
    for part in parts:
        (output / f".lock-{part.number}of{part.parts}").unlink(missing_ok=True)
    return missing
