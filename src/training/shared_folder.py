"""Processes that were started together on several machines have to see one run folder."""

import json
import os
import socket
import time
import uuid
from pathlib import Path
from typing import NamedTuple

from src.atomic import atomic_write
from src.errors import UserError
from src.training.trainer import is_slurm_task

FOLDER = ".ranks"
SECONDS = 120.0  # a network drive may take half a minute to show what another machine wrote
_SECONDS_BY_HAND = 1800.0  # somebody has to type the command on the next machine


class Started(NamedTuple):
    """This process among those that were started together.

    Attributes:
        rank: Its number; 0 is the one that writes.
        processes: How many there are.
        by_hand: Whether a person starts each, and no scheduler all at once.
    """

    rank: int = 0
    processes: int = 1
    by_hand: bool = False


def started_together(num_nodes: int) -> Started:
    """What SLURM, torchrun, or whoever set NODE_RANK says of this process."""
    variables = os.environ
    if "RANK" in variables and "WORLD_SIZE" in variables:
        return Started(int(variables["RANK"]), int(variables["WORLD_SIZE"]))
    if is_slurm_task():
        return Started(int(variables["SLURM_PROCID"]), int(variables["SLURM_NTASKS"]))
    if "NODE_RANK" in variables:
        return Started(int(variables["NODE_RANK"]), num_nodes, by_hand=True)
    return Started()


def require_shared(folder: Path, started: Started) -> None:
    """Let rank 0, which has written the run's config, and the others find each other's files.

    Each of the others leaves a word of its own in the folder, and rank 0 answers with the words of
    all. What an earlier start has left there is none of them.

    Raises:
        UserError: Some did not; the folder is not on a file system that they share, or they ended.
    """
    if started.processes == 1:
        return
    place = folder / FOLDER
    deadline = time.monotonic() + (_SECONDS_BY_HAND if started.by_hand else SECONDS)
    if started.rank == 0:
        _answer(place, started.processes, deadline)
    else:
        _ask(place, started.rank, deadline)


def _answer(place: Path, count: int, deadline: float) -> None:
    place.mkdir(exist_ok=True)
    # Only the files: a folder that is removed takes with it what another rank is about to write.
    for rank in range(count):
        (place / str(rank)).unlink(missing_ok=True)
    words: dict[str, str] = {}
    while missing := [rank for rank in range(1, count) if str(rank) not in words]:
        for rank in missing:
            if word := _read(place / str(rank)):
                words[str(rank)] = word
        if len(words) < count - 1:
            _wait(place, deadline, f"rank {missing[0]}")
    atomic_write(place / "0", json.dumps(words))


def _ask(place: Path, rank: int, deadline: float) -> None:
    word, own = uuid.uuid4().hex, place / str(rank)
    while f'"{rank}": "{word}"' not in _read(place / "0"):
        if _read(own) != word:  # rank 0 may have taken it for an earlier start's
            place.mkdir(parents=True, exist_ok=True)
            atomic_write(own, word)
        _wait(place, deadline, "rank 0")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # not there yet, or replaced while the network drive looked
        return ""


def _wait(place: Path, deadline: float, whom: str) -> None:
    if time.monotonic() > deadline:
        raise UserError(
            f"{socket.gethostname()} sees nothing of {whom} in {place.parent}: all nodes have to"
            " share the run's folder; start the command in a folder on a file system that they"
            f" share, or name one by hydra.run.dir=. (If they do, {whom} has ended: see its error.)"
        )
    time.sleep(0.1)
