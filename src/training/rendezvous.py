"""How processes that torchrun started find each other, also after a restart."""

import atexit
import os
import re
import time
import uuid
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from lightning import Trainer
from lightning.fabric.utilities.distributed import _get_default_process_group_backend_for_device

_PAUSE = 0.05  # seconds between two looks into the store
# Lightning's and torch's own: one process may check its images much longer than another.
_TIMEOUT = timedelta(minutes=30)


def join(trainer: Trainer) -> None:
    """Connect this process with the others of its start, where torchrun keeps the addresses.

    torchrun keeps one store over all restarts (pytorch#135712): what is read first in it may be the
    address of a process that was killed, and no restart ever succeeds. Nor is its count of restarts
    the same on all nodes. So the first process draws a name for this start, tells it only those who
    ask now, and all write their addresses below that name.
    """
    shared = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    if not shared or trainer.world_size < 2 or dist.is_initialized():
        return
    timeout = getattr(trainer.strategy, "_timeout", None) or _TIMEOUT
    store = dist.TCPStore(
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        is_master=False,
        timeout=timeout,
        wait_for_workers=False,
    )
    rank, size = int(os.environ["RANK"]), trainer.world_size
    start = _begin(store, size, timeout) if rank == 0 else _ask(store, rank)
    device = trainer.strategy.root_device
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(
        _get_default_process_group_backend_for_device(device),
        store=dist.PrefixStore(start, store),
        rank=rank,
        world_size=size,
        timeout=timeout,
        device_id=None if device.type == "cpu" else device,
    )
    atexit.register(_leave)


def _begin(store: Any, size: int, timeout: timedelta) -> str:
    """Name this start, and tell the name to all others, until each of them has it."""
    start = uuid.uuid4().hex
    absent = set(range(1, size))
    told: dict[int, bytes] = {}
    deadline = time.monotonic() + timeout.total_seconds()
    while absent:
        for rank in sorted(absent):
            # The question may be one of an earlier start, whose asker is gone: then it is asked
            # again by another.
            if store.check([_question(rank)]):
                asked = store.get(_question(rank))
                if told.get(rank) != asked:
                    store.set(f"finecut/start/{asked.decode()}", start)
                    told[rank] = asked
            if store.check([f"{start}/{rank}"]):
                absent.discard(rank)
        if absent and time.monotonic() > deadline:
            raise dist.DistNetworkError(
                f"process {min(absent)} of {size} did not come in {timeout.total_seconds():.0f} s"
            )
        time.sleep(_PAUSE)
    return start


def _ask(store: Any, rank: int) -> str:
    question = uuid.uuid4().hex
    store.set(_question(rank), question)
    start: str = store.get(f"finecut/start/{question}").decode()  # waits for it
    store.set(f"{start}/{rank}", "here")
    return start


def _question(rank: int) -> str:
    return f"finecut/asked/{rank}"


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def lost_connection(error: BaseException) -> str | None:
    """What an error says of a connection to another process that broke; None for another error."""
    said = (str(error).splitlines() or [""])[0]
    # Gloo has no class for it; it begins with the place in its own source.
    if not isinstance(error, dist.DistError) and not (
        isinstance(error, RuntimeError) and re.search(r"gloo[/\\]transport|^Gloo connect", said)
    ):
        return None
    said = re.sub(r"\[\S*gloo\S*\]\s*", "", said).partition(". This is typically")[0]
    return said.strip().rstrip(".")
