"""What breaks under a training run: a worker, an image, a checkpoint; and a twin beside it."""

import os
import shutil
import signal
from functools import partial
from pathlib import Path

from . import cases
from .outcome import Outcome
from .processes import PATIENCE, Command, descendants, kill, signature, wait_for_changes


def drill_dead_worker(root: Path, whole: Path, folder: Path) -> Outcome:
    """SIGKILL a process that loads images, as the kernel does when memory runs out."""
    outcome = Outcome(times=1)
    with outcome.timed():
        case = cases.train(root, folder, "data.num_workers=2")
        lose_worker(case.first, case.folder, outcome)
        outcome.expect_success(case.again)
        outcome.expect_same(whole, case)
    return outcome


def lose_worker(command: Command, run: Path, outcome: Outcome) -> None:
    """Kill a loader's worker of a training run between its checkpoints."""
    process = command.start()
    wait_for_changes(process, partial(signature, run / "checkpoints"), 3)
    (worker, *_) = descendants(process.pid)
    os.kill(worker, signal.SIGKILL)
    printed, _ = process.communicate(timeout=PATIENCE)
    outcome.expect_error(process.returncode, printed, "loads images", f"resume={run}")


def drill_damaged_checkpoints(root: Path, whole: Path, folder: Path) -> Outcome:
    """Of three, the newest is cut short and a bit of the next flips: the third continues."""
    outcome = Outcome(times=2)
    with outcome.timed():
        case = cases.train(root, folder, "callbacks.recent.keep=3")
        process = case.first.start()
        wait_for_changes(process, partial(_checkpoints, case.folder), 5)
        kill(process)
        _, second, newest = _checkpoints(case.folder)[-3:]
        _truncate(newest)
        _flip(second)
        again = Command("train.py", (*case.again.words, "callbacks.recent.keep=2"), folder)
        code, printed = again.run()
        for damaged in (newest, second):
            if code or f"{damaged.name} is damaged; falling back" not in printed:
                outcome.faults.append(f"{damaged.name}, exit code {code}: {printed}")
        outcome.expect_same(whole, case)
    return outcome


def drill_corrupt_image(root: Path, whole: Path, folder: Path) -> Outcome:
    """An image is cut short after its header: `stop` names it, and the mended run goes on."""
    outcome = Outcome(times=1)
    with outcome.timed():
        own = _copied(root, folder / "data")
        image = own / "train" / "images" / "picture3.png"
        content = image.read_bytes()
        case = cases.train(own, folder, "data.num_workers=1")
        image.write_bytes(content[: len(content) // 2])
        outcome.expect_error(*case.first.run(), str(image))
        image.write_bytes(content)
        outcome.expect_success(case.again)
        outcome.expect_same(whole, case)
    return outcome


def drill_skipped_image(root: Path, whole: Path, folder: Path) -> Outcome:
    """The same with `skip`: the run is done, and says which image it did without."""
    outcome = Outcome(times=1)
    with outcome.timed():
        own = _copied(root, folder / "data")
        image = own / "train" / "images" / "picture3.png"
        content = image.read_bytes()
        image.write_bytes(content[: len(content) // 2])
        case = cases.train(own, folder, "data.num_workers=1", "data.on_error=skip")
        outcome.expect_success(case.first, says=str(image))
    return outcome


def drill_shared_cache(root: Path, whole: Path, folder: Path) -> Outcome:
    """Two runs make the same cache at once; both learn what a run without a cache learns."""
    outcome = Outcome(times=2)
    with outcome.timed():
        cache = ("data.cache=disk", f"data.cache_dir={folder / 'cache'}")
        twins = [cases.train(root, folder / name, *cache) for name in ("one", "other")]
        processes = [case.first.start() for case in twins]
        for case, process in zip(twins, processes, strict=True):
            printed, _ = process.communicate(timeout=PATIENCE)
            if process.returncode:
                outcome.faults.append(printed)
            else:
                outcome.expect_same(whole, case)
    return outcome


def _checkpoints(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted((folder / "checkpoints").glob("recent-*.ckpt")))


def _truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _copied(root: Path, folder: Path) -> Path:
    for part in ("train", "test"):
        shutil.copytree(root / part, folder / part)
    return folder


PARTS = {
    "train loses a worker": drill_dead_worker,
    "train meets a corrupt image, on_error=stop": drill_corrupt_image,
    "train meets a corrupt image, on_error=skip": drill_skipped_image,
    "train finds damaged checkpoints": drill_damaged_checkpoints,
    "two runs write the same cache": drill_shared_cache,
}
