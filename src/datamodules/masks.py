"""Faults of masks that only their pixels show, found once before training and remembered."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .images import ImageError, judge_mask
from .mask_levels import ALL_BLACK, Scale, mask_fault, mixed_scales
from .pairs import Pair, state_hash
from .remembered import remembered

log = logging.getLogger(__name__)

__all__ = ["ALL_BLACK", "mask_fault", "mask_faults"]
# Changes with the judgement, so that what an older one found is found anew.
_JUDGEMENT = 2


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
        scales = [scale for scale, _ in found]
        mixed = mixed_scales([pair.set for pair in pairs], scales)
        faults = {}
        for pair, (_, fault), other in zip(pairs, found, mixed, strict=True):
            if text := fault or (other and f"{pair.mask}: {other}"):
                faults[str(pair.mask)] = text
        return faults

    key = f"masks-{state_hash(pairs, allow_empty, _JUDGEMENT)}"
    faults: dict[str, str] = remembered(memory, key, find)
    return faults


def _fault_of_file(pair: Pair, allow_empty: bool) -> tuple[Scale | None, str | None]:
    """The scale of a mask's levels, where that is known, and what is wrong with them."""
    try:
        mask, scale, fault = judge_mask(pair.mask)
    except ImageError as error:
        return None, str(error)
    fault = fault or mask_fault(mask, allow_empty)
    return scale, fault and f"{pair.mask}: {fault}"
