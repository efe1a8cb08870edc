"""`memory=auto`: measures what fits, and chooses batch, accumulation, precision and checkpointing.

The choice is made once, by the first process of a run, on the machine that trains it. It is saved
in the run's config, which every other process, a resumed run and a requeued job read.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from src.cache import CacheFolder
from src.errors import UserError
from src.hashing import value_hash
from src.paths import cache_folder
from src.plain_data import read_json
from src.processes import available_memory, die_with_parent, has_native_bf16, processor_name
from src.settings.training import MemoryChoice
from src.training import config, provenance
from src.training.run_folder import is_first_process
from src.training.trainer import devices_of

log = logging.getLogger(__name__)

GIB = 2**30
_MARGIN = 0.9  # of what is free: validation, the allocator's gaps, other programs
_WORKER = 0.25 * GIB  # of RAM for each process that reads data
# What PyTorch, oneDNN, the C++ library and OpenMP say where there is no more memory.
NO_ROOM = (
    *("not enough memory", "can't allocate memory", "Cannot allocate memory", "MemoryError"),
    *("bad_alloc", "could not create a", "Thread creation failed"),
)
_WAIT = 3600.0  # seconds that other ranks wait for the choice


@dataclass(frozen=True)
class Device:
    """Where a run trains.

    Attributes:
        name: As the card or the processor calls itself.
        index: Of the card with the least memory; None on a CPU.
        free: Bytes that one process of the run may take.
        bf16: Whether it computes in bf16 natively.
    """

    name: str
    index: int | None
    free: int
    bf16: bool


@dataclass(frozen=True)
class Request:
    """What a process measures: steps of growing batches.

    Attributes:
        folder: Of the run, whose config it reads.
        batches: Images at once, ascending.
        precision: Lightning's name.
        activation_checkpointing: Whether activations are computed twice.
        index: Of the card; None on a CPU.
        device: Its name.
        limit: Bytes after which an allocation fails.
        processes: Of the run; several keep their gradients twice.
    """

    folder: str
    batches: list[int]
    precision: str
    activation_checkpointing: bool
    index: int | None
    device: str
    limit: int
    processes: int


# Bytes at the peak by images at once; None where they did not fit.
Peaks = dict[int, int | None]
Measure = Callable[[Request], Peaks]


def settle(folder: Path, measure: Measure | None = None) -> None:
    """Choose, where a run's config asks for it and nothing was chosen, and save the choice.

    Processes that were started together wait for the first one.

    Raises:
        UserError: Not even a single image fits, with what was measured; or the device is none that
            can be measured.
    """
    cfg = config.load_config(folder, located=False)
    if not _is_open(cfg):
        return
    if not is_first_process():
        _wait(folder)
        return
    device = _device(config.load_config(folder))
    choice = choose(cfg, folder, device, measure or _measured_once)
    before = cfg.copy()
    apply(cfg, choice.model_dump())
    log.info("%s", _line(before, choice))
    config.save_config(cfg, folder)
    provenance.write(folder, memory=choice.model_dump())


def carry_over(cfg: DictConfig, folder: Path) -> DictConfig:
    """A run's new config with the choice of its saved one, if both ask for the same.

    So a job that a scheduler or a sweep starts again goes on with the batch that it began with.
    """
    if not _is_open(cfg) or not (folder / config.CONFIG).is_file():
        return cfg
    saved = config.load_config(folder, located=False)
    chosen = OmegaConf.select(saved, "memory.chosen")
    if chosen is None:
        return cfg
    chosen = OmegaConf.to_container(chosen)
    assert isinstance(chosen, dict)
    settled = cfg.copy()
    apply(settled, chosen)
    return settled if config.config_hash(settled) == config.config_hash(saved) else cfg


def apply(cfg: DictConfig, chosen: Mapping[str, Any]) -> None:
    """Put a choice into a run's config, in place."""
    with open_dict(cfg):
        cfg.data.batch_size = chosen["batch_size"]
        cfg.trainer.accumulate_grad_batches = chosen["accumulate_grad_batches"]
        cfg.trainer.precision = chosen["precision"]
        cfg.activation_checkpointing = chosen["activation_checkpointing"]
        cfg.memory.chosen = dict(chosen)


def choose(cfg: DictConfig, folder: Path, device: Device, measure: Measure) -> MemoryChoice:
    """The best that fits: the most images at once, first without computing activations twice.

    A batch of one and one of two tell what an image costs and what does not depend on it; what
    follows from them for the largest batch that would fit is then measured, too.

    Args:
        cfg: Of the run.
        folder: Where its config lies.
        device: To train on.
        measure: Carries steps out and tells their peaks.

    Raises:
        UserError: Not even the smallest fits.
    """
    typed = set(cfg.memory.typed)
    asked = cfg.memory.limit_gb
    limit = int(asked * GIB) if asked is not None else device.free
    whole = cfg.data.batch_size * cfg.trainer.accumulate_grad_batches
    batches = _batches(cfg, typed)
    precision = str(cfg.trainer.precision)
    if "trainer.precision" not in typed and precision == "32-true" and device.bf16:
        precision = "bf16-mixed"
    twice = [False, True]
    if "activation_checkpointing" in typed or cfg.activation_checkpointing:
        twice = [bool(cfg.activation_checkpointing)]
    smallest: dict[bool, int | None] = {}
    for checkpointing in twice:

        def peaks(*wanted: int, checkpointing: bool = checkpointing) -> Peaks:
            # Of a process's RAM what one batch left counts for the next; of a card's it does not.
            parts = [list(wanted)] if device.index is not None else [[one] for one in wanted]
            found: Peaks = {}
            for batches in parts:
                found |= measure(
                    Request(
                        str(folder),
                        batches,
                        precision,
                        checkpointing,
                        device.index,
                        device.name,
                        limit,
                        devices_of(cfg.trainer) or 1,
                    )
                )
            return found

        known, predicted = _probe(batches, peaks)
        smallest[checkpointing] = known[batches[-1]]
        for batch in batches:
            if predicted(batch) > limit:
                continue
            measured = known[batch] if batch in known else peaks(batch)[batch]
            if measured is not None and measured <= limit:
                return MemoryChoice(
                    batch_size=batch,
                    accumulate_grad_batches=whole // batch,
                    precision=precision,
                    activation_checkpointing=checkpointing,
                    predicted_gb=round(predicted(batch) / GIB, 2),
                    measured_gb=round(measured / GIB, 2),
                    limit_gb=round(limit / GIB, 2),
                    device=device.name,
                )
    raise UserError(_nothing_fits(batches[-1], smallest, limit, device, precision, typed))


def _batches(cfg: DictConfig, typed: set[str]) -> list[int]:
    """Images at once that may be chosen, descending: they divide those of a step."""
    if typed & {"data.batch_size", "trainer.accumulate_grad_batches"}:
        return [int(cfg.data.batch_size)]
    whole = cfg.data.batch_size * cfg.trainer.accumulate_grad_batches
    return [part for part in range(whole, 0, -1) if whole % part == 0]


def _probe(batches: list[int], peaks: Callable[..., Peaks]) -> tuple[Peaks, Callable[[int], float]]:
    """Measure two small batches: what was found, and what it says of any batch."""
    if len(batches) == 1:
        known = peaks(batches[0])
        return known, lambda batch: known[batch] or float("inf")
    first, second = batches[-1], batches[-2]
    known = peaks(first, second)
    one, two = known[first], known.get(second)

    def predicted(batch: int) -> float:
        if one is None or (two is None and batch != first):
            return float("inf")
        if two is None or batch == first:
            return one
        return one + (batch - first) * max(0, two - one) / (second - first)

    return known, predicted


def _nothing_fits(
    batch: int,
    smallest: Mapping[bool, int | None],
    limit: int,
    device: Device,
    precision: str,
    typed: set[str],
) -> str:
    peak = list(smallest.values())[-1]
    needed = f"more than {limit / GIB:.2f}" if peak is None else f"{peak / GIB:.2f}"
    how = " with activation_checkpointing=true" if True in smallest else ""
    advice = []
    if typed & {"data.batch_size", "trainer.accumulate_grad_batches"} and batch > 1:
        advice.append("leave out data.batch_size and trainer.accumulate_grad_batches")
    if True not in smallest:
        advice.append("leave out activation_checkpointing=false")
    if precision == "32-true" and "trainer.precision" in typed and device.bf16:
        advice.append("leave out trainer.precision")
    advice += ["train at a smaller model.size", "a smaller model", "a device with more memory"]
    images = "a single image" if batch == 1 else f"{batch} images"
    return (
        f"memory=auto: a step of {images} in {precision}{how} takes {needed} GiB, and"
        f" {limit / GIB:.2f} GiB are there ({device.name}): {', or '.join(advice)}"
    )


def _line(cfg: DictConfig, choice: MemoryChoice) -> str:
    """What was chosen, in one line."""
    batch, steps = choice.batch_size, choice.accumulate_grad_batches
    images = f"{batch} image{'s' * (batch > 1)}"
    computed = "computed twice" if choice.activation_checkpointing else "kept"
    summed = f" × {steps} summed to a step" if steps > 1 else " a step"
    norms = ""
    if batch < cfg.data.batch_size:
        norms = f"; BatchNorm sees {images} at once instead of {cfg.data.batch_size}"
    return (
        f"memory=auto: {images}{summed}, {choice.precision}, activations"
        f" {computed}: {choice.predicted_gb:.2f} GiB predicted, {choice.measured_gb:.2f} measured,"
        f" {choice.limit_gb:.2f} allowed ({choice.device}){norms}"
    )


def _is_open(cfg: DictConfig) -> bool:
    """Whether a choice is asked for and not made. A test alone needs none."""
    node = cfg.get("memory")
    return node is not None and node.get("chosen") is None and bool(cfg.fit or cfg.dry_run)


def _wait(folder: Path) -> None:
    deadline = time.monotonic() + _WAIT
    while _is_open(config.load_config(folder, located=False)):
        if time.monotonic() > deadline:
            raise UserError(f"memory=auto: rank 0 chose nothing in {_WAIT:.0f} s; did it fail?")
        time.sleep(0.5)


def _device(cfg: DictConfig) -> Device:
    """Where the run trains; of several cards the one with the least free memory."""
    import torch  # takes seconds, and who only saves a config needs none

    accelerator = str(cfg.trainer.accelerator)
    if accelerator in ("gpu", "cuda") or (accelerator == "auto" and torch.cuda.is_available()):
        if not torch.cuda.is_available():
            raise UserError("memory=auto: PyTorch finds no GPU here; `finecut doctor` says more")
        return _smallest_card(cfg)
    if accelerator not in ("cpu", "auto"):
        raise UserError(
            f"memory=auto measures on GPUs of CUDA and on CPUs, not on {accelerator}: choose a"
            " preset, memory=8gb|16gb|24gb|80gb"
        )
    processes = devices_of(cfg.trainer) or 1
    workers = cfg.data.num_workers
    readers = (min(8, os.cpu_count() or 1) if workers is None else workers) * _WORKER
    free = int((available_memory() * _MARGIN - readers) / processes)
    return Device(processor_name(), None, max(0, free), has_native_bf16())


def _smallest_card(cfg: DictConfig) -> Device:
    import torch

    devices: Any = cfg.trainer.devices
    listed = devices.split(",") if isinstance(devices, str) and "," in devices else devices
    if isinstance(listed, Iterable) and not isinstance(listed, str):
        indices = [int(index) for index in listed]
    else:
        count = devices_of(cfg.trainer)
        indices = list(range(min(count or torch.cuda.device_count(), torch.cuda.device_count())))
    # In a process of its own: a context of CUDA here would take memory until the run ends.
    code = (
        "import json, sys, torch\n"
        "print(json.dumps([[torch.cuda.mem_get_info(i)[0], torch.cuda.get_device_name(i),"
        " torch.cuda.get_device_capability(i)[0] >= 8] for i in map(int, sys.argv[1:])]))"
    )
    command = [sys.executable, "-c", code, *map(str, indices)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it printed nothing"]
        raise UserError(f"memory=auto: the card cannot be asked for its memory: {lines[-1]}")
    found = json.loads(done.stdout)
    free, name, _ = min(found)
    bf16 = all(native for _, _, native in found)
    return Device(name, indices[found.index(min(found))], int(free * _MARGIN), bf16)


class _DoesNotFitError(Exception):
    """A batch did not fit; of another limit that says nothing, so it is kept nowhere."""


def _measured_once(request: Request) -> Peaks:
    """What `measured` answers; jobs of a sweep that differ in nothing of it measure once."""
    cfg = config.load_config(Path(request.folder))
    cache = CacheFolder(cache_folder(cfg.data.get("cache_dir")), "memory", 1)
    missed: Peaks = {}

    def measure() -> list[tuple[int, int | None]]:
        missed.update(measured(request))
        if None in missed.values():
            raise _DoesNotFitError
        return list(missed.items())

    try:
        return {int(batch): peak for batch, peak in cache.get_json(_key(cfg, request), measure)}
    except _DoesNotFitError:
        return missed


def _key(cfg: DictConfig, request: Request) -> str:
    """What a step's memory depends on."""
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(plain, dict)
    asked: dict[str, Any] = asdict(request)
    del asked["folder"], asked["limit"]
    of_the_model = ("network", "processor", "losses", "inputs", "teacher", "feature_supervision")
    of_the_run = ("multiscale", "compile", "finetune", "late_losses", "optimizer")
    ema = OmegaConf.select(cfg, "callbacks.ema.decay") is not None
    parts = {
        "model": {key: plain["model"].get(key) for key in of_the_model},
        "run": {key: plain.get(key) for key in of_the_run},
        "ema": ema,
        "asked": asked,
        "torch": version("torch"),
    }
    return str(value_hash(parts))[:16]


def measured(request: Request) -> Peaks:
    """Carry out two steps of each batch in a new process, whose end gives all memory back.

    Raises:
        UserError: A step fails for another reason than memory.
    """
    shown = " and ".join(map(str, request.batches))
    log.info(
        "memory=auto: measuring a step of %s image%s at once in %s%s",
        shown,
        "s" * (request.batches[-1] > 1),
        request.precision,
        ", activations computed twice" * request.activation_checkpointing,
    )
    with tempfile.TemporaryDirectory() as folder:
        asked, answer = Path(folder, "request.json"), Path(folder, "peaks.json")
        asked.write_text(json.dumps(asdict(request)), encoding="utf-8")
        command = [sys.executable, "-m", "src.training.measure_step", str(asked), str(answer)]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=die_with_parent
        )
        found = read_json(answer, "run the command again") if answer.is_file() else {}
    error = found.pop("error", None)
    peaks: Peaks = {int(batch): peak for batch, peak in found.items()}
    killed = done.returncode == -signal.SIGKILL
    missing = [batch for batch in request.batches if batch not in peaks]
    if error is not None or (missing and not killed):
        lines = done.stdout.decode(errors="replace").strip().splitlines() or ["it printed nothing"]
        if not any(word in lines[-1] for word in NO_ROOM):
            raise UserError(f"memory=auto: a step failed: {error or lines[-1]}")
    return peaks | dict.fromkeys(missing)
