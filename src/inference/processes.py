"""Divides files among processes, each with a model of its own and, if there are any, its own GPU.

Every process writes the files of its own share, under names that follow from the input: nothing is
lost or reordered between them, and the count is checked at the end.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

import torch

from src.errors import UserError
from src.inference.predict_files import Summary
from src.inference.sources import Source
from src.processes import available_cpus, die_with_parent
from src.progress import progress_bars

_POLL = 0.2  # seconds between two looks at how much is done

# Predicts files on a device and calls after each of them.
Share = Callable[[Sequence[Source], str, Callable[[], None]], Summary]


def devices_for(device: str, count: int) -> list[str]:
    """A device for each of `count` processes: GPUs of their own, or the CPU for all.

    Raises:
        UserError: Fewer GPUs than processes, or a device that only one process can have.
    """
    if count < 1:
        raise UserError(f"processes={count}: at least 1")
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return ["cpu"] * count
    if device not in ("auto", "cuda"):
        raise UserError(f"device={device} is for one process; give device=cuda or cpu, or auto")
    if count > torch.cuda.device_count():
        raise UserError(f"processes={count}, but there are {torch.cuda.device_count()} GPUs")
    return [f"cuda:{i}" for i in range(count)]


def predict_in_processes(
    share: Share, devices: Sequence[str], sources: Sequence[Source]
) -> Summary:
    """Divide the files among the devices and join what became of them.

    Args:
        share: Picklable; called in each process.
        devices: One for each process.
        sources: All files.

    Raises:
        UserError: A process was killed, or failed altogether; the others finish their shares.
    """
    devices = devices[: len(sources)]  # a process without a file would read the weights for nothing
    context = get_context("spawn")  # a forked process cannot use a GPU that its parent has used
    counter = context.Value("L", 0)
    with (
        ProcessPoolExecutor(
            len(devices), context, initializer=_start, initargs=(counter, len(devices))
        ) as pool,
        progress_bars() as bars,
    ):
        task = bars.add_task("files", total=len(sources))
        futures = [
            pool.submit(_carry_out, share, sources[index :: len(devices)], device)
            for index, device in enumerate(devices)
        ]
        try:
            while pending := [future for future in futures if not future.done()]:
                wait(pending, timeout=_POLL)
                bars.update(task, completed=counter.value)
            parts = [future.result() for future in futures]
        except BrokenProcessPool as error:
            raise UserError(
                "a predicting process was killed, most often for want of memory: fewer processes= "
                "or a smaller batch_size=; skip_existing=true goes on"
            ) from error
    failures = sorted(failure for part in parts for failure in part.failures)
    done, skipped = sum(part.done for part in parts), sum(part.skipped for part in parts)
    assert done + skipped + len(failures) == len(sources), "a file was lost between processes"
    return Summary(done, skipped, failures)


_counter: Any = None  # of this process's pool


def _start(counter: Any, processes: int) -> None:
    global _counter
    _counter = counter
    die_with_parent()
    torch.set_num_threads(max(1, available_cpus() // processes))


def _carry_out(share: Share, sources: Sequence[Source], device: str) -> Summary:
    return share(sources, device, _advance)


def _advance() -> None:
    with _counter.get_lock():
        _counter.value += 1
