"""Faults of masks that only their pixels show, found once before training and remembered."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from .images import ImageError, read_mask
from .pairs import Pair, state_hash
from .remembered import remembered

log = logging.getLogger(__name__)

# A soft matte is grey along its edges and hair; a photograph nearly everywhere.
_MOST_GREY = 0.5
_LOW, _HIGH = 26, 229
# Every measure that thresholds the truth does it here.
_FOREGROUND = 128
ALL_BLACK = "all black: no foreground"


def mask_fault(mask: np.ndarray, allow_empty: bool = False) -> str | None:
    """Say what makes a uint8 mask `(H, W)` unfit to learn from, None if nothing does.

    Args:
        mask: 255 = foreground.
        allow_empty: Accept an all-black mask, for sets with images of nothing.
    """
    brightest = int(mask.max())
    if brightest == 0:
        return None if allow_empty else f"{ALL_BLACK} (data.allow_empty=true accepts such images)"
    if brightest < _FOREGROUND:
        return (
            f"its brightest value is {brightest} of 255: a map of object numbers, which"
            " data=objects reads, or another range?"
        )
    counts = np.bincount(mask.reshape(-1), minlength=256)
    grey = counts[_LOW : _HIGH + 1].sum() / mask.size
    if grey > _MOST_GREY:
        return f"{grey:.0%} of its pixels are neither black nor white: a photograph, not a mask?"
    return None


def mask_faults(
    pairs: Sequence[Pair], memory: Path, allow_empty: bool = False, readers: int = 4
) -> dict[str, str]:
    """Read every mask once and say by path which are faulty; a second call reads nothing.

    Args:
        pairs: What is going to be trained on.
        memory: Folder where results are kept, by the files' names, sizes and times of change.
        allow_empty: Accept all-black masks.
        readers: Threads.
    """

    def find() -> dict[str, str]:
        log.info("reading %d masks once to check them", len(pairs))
        with ThreadPoolExecutor(max(readers, 1)) as pool:
            found = list(pool.map(lambda pair: _fault_of_file(pair, allow_empty), pairs))
        return {
            str(pair.mask): fault
            for pair, fault in zip(pairs, found, strict=True)
            if fault is not None
        }

    faults: dict[str, str] = remembered(memory, f"masks-{state_hash(pairs, allow_empty)}", find)
    return faults


def _fault_of_file(pair: Pair, allow_empty: bool) -> str | None:
    try:
        fault = mask_fault(read_mask(pair.mask), allow_empty)
    except ImageError as error:
        return str(error)
    return fault and f"{pair.mask}: {fault}"
