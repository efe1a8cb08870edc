"""`dry_run=true`: a few steps at full size tell what a whole run will cost, before it is paid."""

import itertools
import resource
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from omegaconf import DictConfig

from src.settings.multiscale import Multiscale

WARM_UP, MEASURED = 1, 3


class Cost(NamedTuple):
    """What was measured: seconds a step and for loading its batch, and the peak of memory in bytes.

    `steps` is the longest that the recipe may take; `patient` that it may stop before.
    """

    step: float
    data: float
    memory: int
    steps: int
    patient: bool = False
    on_cpu: bool = False
    varied: Multiscale | None = None

    def __str__(self) -> str:
        total = self.steps * max(self.step, self.data)
        waiting = max(0.0, self.data - self.step) / max(self.step, self.data)
        whose = " (the whole process, on the CPU)" if self.on_cpu else ""
        fewer = " at most, fewer once model.patience runs out" if self.patient else ""
        sizes = ""
        if self.varied is not None:
            height, width = self.varied.largest
            share = self.varied.mean_pixels / (height * width)
            sizes = (
                f"measured at {height}×{width}, the largest size of multiscale; the mean batch has"
                f" {share:.0%} of its pixels\n"
            )
        return (
            f"{sizes}peak memory {self.memory / 2**30:.2f} GiB{whose}\n"
            f"a step computes {self.step:.3f} s; meanwhile its next batch loads, {self.data:.3f} s:"
            f" {waiting:.0%} of the time waits for data\n"
            f"{self.steps} steps{fewer}: {duration(total)}, validation and test not counted"
        )


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def dry_run(cfg: DictConfig, module: Any, datamodule: Any) -> Cost:
    """Measure optimizer steps on real batches, on the device and in the precision of the run."""
    device = _device(cfg)
    module.network.to(device)
    module.losses.to(device)
    optimizer = module.make_optimizer()
    varied = datamodule.multiscale
    if varied is not None:  # what has to fit
        datamodule.multiscale = Multiscale.parse([list(varied.largest)])
    loader = datamodule.train_dataloader()
    batches, data_seconds = _load(loader)
    accumulate = cfg.trainer.accumulate_grad_batches
    step = _stepper(cfg, module, optimizer, device, accumulate)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds = [_timed(step, itertools.cycle(batches), device) for _ in range(WARM_UP + MEASURED)]
    measured = sorted(seconds[WARM_UP:])[MEASURED // 2]
    return Cost(
        measured,
        data_seconds * accumulate,
        _peak_memory(device),
        _steps(cfg, loader),
        patient=cfg.model.get("patience") is not None,
        on_cpu=device.type == "cpu",
        varied=varied,
    )


def _load(loader: Any) -> tuple[list[Any], float]:
    """A few batches, and how long the workers take for one once they are under way."""
    iterator = iter(loader)
    batches = [next(iterator)]
    start = time.perf_counter()
    batches += list(itertools.islice(iterator, MEASURED))
    return batches, (time.perf_counter() - start) / max(1, len(batches) - 1)


def _stepper(
    cfg: DictConfig, module: Any, optimizer: Any, device: torch.device, accumulate: int
) -> Callable[[Any], None]:
    def step(batches: Any) -> None:
        optimizer.zero_grad()
        for batch in itertools.islice(batches, accumulate):
            moved = {k: v.to(device) if torch.is_tensor(v) else v for k, v in batch.items()}
            moved = module.as_floats(moved)
            with autocast(cfg, device):
                output = module(moved)
                terms = [term(output, moved) for term in module.losses.values()]
            torch.stack(terms).sum().backward()
        optimizer.step()

    return step


def autocast(cfg: DictConfig, device: torch.device) -> torch.autocast:
    """The run's precision, as Lightning would compute a step in it."""
    half = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(str(cfg.trainer.precision))
    return torch.autocast(device.type, dtype=half, enabled=half is not None)


def _timed(step: Callable[[Any], None], batches: Any, device: torch.device) -> float:
    start = time.perf_counter()
    step(batches)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _steps(cfg: DictConfig, loader: Any) -> int:
    epoch = len(loader) // cfg.trainer.accumulate_grad_batches
    whole = epoch * cfg.trainer.max_epochs if cfg.trainer.max_epochs > 0 else float("inf")
    limit = cfg.trainer.max_steps if cfg.trainer.max_steps > 0 else float("inf")
    return int(min(whole, limit))


def _device(cfg: DictConfig) -> torch.device:
    wanted = cfg.trainer.accelerator
    cuda = wanted in ("gpu", "cuda") or (wanted == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if cuda else "cpu")


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
