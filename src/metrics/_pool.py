"""Processes that score images beside the network, or beside each other.

They import no torch, unless a foreign metric asks for it.
"""

import json
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache

import cv2
import numpy as np

from src.metrics._foreign import foreign_metrics, use_foreign
from src.metrics._image import score_pair
from src.metrics._record import RAW, record

log = logging.getLogger(__name__)

_PATIENCE = 1.0  # seconds; what was compiled before is loaded in less


def pool(workers: int) -> ProcessPoolExecutor:
    """The pool of `workers` processes of this process; started once, they wait when idle.

    They know the foreign metrics that this process knows; where those have changed, others start.
    """
    return _pool(workers, json.dumps(foreign_metrics()))


@cache
def _pool(workers: int, foreign: str) -> ProcessPoolExecutor:
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, spawn, _prepare_worker, (foreign,))


def discard_pool(workers: int) -> None:
    """Forget a pool whose processes died, so that the next call starts a new one."""
    pool(workers).shutdown(wait=False, cancel_futures=True)
    _pool.cache_clear()


def compile_kernels(names: Sequence[str], workers: int) -> None:
    """Have each kernel compiled by one process, before every process would compile them all.

    The compiled code lies in numba's cache, so that a second command only loads it.

    Args:
        names: Metrics; no others are compiled, nor are those that need a trimap.
        workers: Processes of the pool; 1 compiles here.
    """
    heavy = [
        name
        for name in names
        if not (name.endswith(RAW) and name.removesuffix(RAW) in names)
        and not record(name).needs_trimap
    ]
    notice = threading.Timer(_PATIENCE, log.info, ["compiling metrics, once"])
    notice.daemon = True
    notice.start()
    try:
        if workers == 1:
            score_pair(*_example(), heavy)
        else:
            # What all metrics share first, or each process would compile it.
            pool(workers).submit(_compile).result()
            list(pool(workers).map(_compile, heavy))
    finally:
        notice.cancel()


def _compile(*names: str) -> None:
    score_pair(*_example(), names)


def _example() -> tuple[np.ndarray, np.ndarray]:
    """A pair with boundaries, holes and errors: no kernel is left out."""
    target = np.zeros((70, 70), np.uint8)
    target[10:60, 10:60] = 255
    target[20:30, 20:30] = 0
    prediction = np.roll(target, 9, axis=1) // 2 + (np.indices(target.shape).sum(0) % 7 == 0) * 99
    return prediction.astype(np.uint8), target


def _prepare_worker(foreign: str) -> None:
    # Ctrl-C and a scheduler's notices are the parent's to handle.
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    cv2.setNumThreads(1)  # as many processes as cores already
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if metrics := json.loads(foreign):
        use_foreign(metrics)


def _die_with_parent() -> None:
    """End with a parent that was killed: the pool's queue would be waited on for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
