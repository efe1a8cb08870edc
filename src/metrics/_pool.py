"""Processes that score images beside the network, or beside each other. They import no torch."""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from functools import cache

import cv2


@cache
def pool(workers: int) -> ProcessPoolExecutor:
    """The pool of `workers` processes of this process; started once, they wait when idle."""
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _prepare_worker)


def discard_pool(workers: int) -> None:
    """Forget a pool whose processes died, so that the next call starts a new one."""
    pool(workers).shutdown(wait=False, cancel_futures=True)
    pool.cache_clear()


def _prepare_worker() -> None:
    # Ctrl-C and a scheduler's notices are the parent's to handle.
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    cv2.setNumThreads(1)  # as many processes as cores already
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """End with a parent that was killed: the pool's queue would be waited on for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
