"""What a process answers to signals, given back after a test."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from src.training import preemption


@contextmanager
def signals_given_back() -> Iterator[None]:
    """Leave pytest's handlers as they were, and no signal noted."""
    before = {number: signal.getsignal(number) for number in preemption.SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        preemption._Notice.received, preemption._Notice.deferred = 0, False
