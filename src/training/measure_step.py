"""Measures the memory of training steps: `python -m src.training.measure_step REQUEST ANSWER`.

`memory.measured` starts it, since only the end of a process gives all memory back.
"""

import contextlib
import copy
import json
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from src.atomic import atomic_write
from src.errors import exit_on_user_error
from src.processes import peak_memory
from src.settings.multiscale import Multiscale
from src.training import config
from src.training.dry_run import autocast
from src.training.execute import build_module, quieten
from src.training.memory import NO_ROOM, Request

_STEPS = 2  # the first makes the optimizer's state, beside which the second's activations lie


def measure(request: Request, answer: Path) -> None:
    """Write the peak of each batch as soon as it is known; null where it does not fit."""
    peaks: dict[str, Any] = {}
    try:
        device = torch.device("cpu" if request.index is None else f"cuda:{request.index}")
        if device.type == "cuda":
            share = request.limit / torch.cuda.mem_get_info(device)[1]
            torch.cuda.set_per_process_memory_fraction(min(1.0, share), device)
        else:
            _bound(request.limit)
        cfg = _prepared(config.load_config(Path(request.folder)), request)
        module, optimizer, _held = _on_device(cfg, device, request.processes)
        for batch in request.batches:
            peaks[str(batch)] = None
            if device.type == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats(device)
            for _ in range(_STEPS):
                _step(cfg, module, optimizer, batch, device)
            peaks[str(batch)] = _peak(device)
            atomic_write(answer, json.dumps(peaks))
    except (torch.OutOfMemoryError, MemoryError):
        pass
    except RuntimeError as error:
        if not any(words in str(error) for words in NO_ROOM):
            peaks["error"] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
    for batch in request.batches:
        peaks.setdefault(str(batch), None)
    atomic_write(answer, json.dumps(peaks))


def _bound(limit: int) -> None:
    """Let allocations fail beyond a limit: a process that took more would have others killed.

    Counted from here, where all is imported and threads have their stacks. Where the limit stood
    before, an import that got no memory waited for itself without end.
    """
    torch.ones(1 << 20).add_(1)  # starts the threads
    taken = 0
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        taken = next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmData"))
    with contextlib.suppress(ValueError, OSError):  # a lower limit is set already
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (taken + limit, hard))


def _prepared(cfg: DictConfig, request: Request) -> DictConfig:
    cfg.trainer.precision = request.precision
    cfg.activation_checkpointing = request.activation_checkpointing
    if "pretrained" in cfg.model.network:
        cfg.model.network.pretrained = False  # as large, and nothing is downloaded
    if cfg.model.get("teacher") is not None:
        cfg.model.teacher.checkpoint = None  # an untrained one is as large
    return cfg


def _on_device(
    cfg: DictConfig, device: torch.device, processes: int
) -> tuple[Any, torch.optim.Optimizer, list[Any]]:
    """The module, its optimizer, and what else a run holds beside them."""
    module = build_module(cfg)
    if cfg.activation_checkpointing:
        module.network.set_grad_checkpointing()
    if cfg.get("compile"):
        module.network.compile()
    module.log = module.log_dict = lambda *_, **__: None  # there is no trainer
    module.to(device).train()
    held: list[Any] = []
    if OmegaConf.select(cfg, "callbacks.ema.decay") is not None:
        held.append(copy.deepcopy(module.network.state_dict()))
    if processes > 1:  # DDP's buckets
        held.append([torch.empty_like(p) for p in module.parameters() if p.requires_grad])
    return module, module.make_optimizer(), held


def _step(
    cfg: DictConfig, module: Any, optimizer: torch.optim.Optimizer, batch: int, device: torch.device
) -> None:
    optimizer.zero_grad()
    with autocast(cfg, device):
        loss = module.training_step(module.as_floats(_drawn(cfg, module, batch, device)), 0)
    loss.backward()
    optimizer.step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _drawn(cfg: DictConfig, module: Any, batch: int, device: torch.device) -> dict[str, Any]:
    """A batch of noise with a disc for its foreground, at the run's largest size."""
    varied = cfg.get("multiscale")
    height, width = module.processor.size if varied is None else Multiscale.parse(varied).largest
    y = torch.linspace(-1, 1, height, device=device)[:, None]
    x = torch.linspace(-1, 1, width, device=device)[None]
    disc: Tensor = ((y**2 + x**2 < 0.5) * 255).to(torch.uint8)
    drawn: dict[str, Any] = {
        "index": torch.arange(batch),
        "name": [str(place) for place in range(batch)],
        "image": torch.randint(256, (batch, 3, height, width), dtype=torch.uint8, device=device),
        "mask": disc.expand(batch, 1, height, width).clone(),
    }
    if "prompt" in module.inputs:
        seen = next(m for m in module.network.modules() if isinstance(m, nn.Conv2d)).in_channels
        channels = seen - 3 * ("image" in module.inputs) - ("mask" in module.inputs)
        drawn["prompt"] = torch.zeros(batch, channels, height, width, device=device)
        drawn["void"] = torch.zeros_like(drawn["mask"])
    return drawn


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    return peak_memory() or 0


@exit_on_user_error
def main(words: Sequence[str]) -> int:
    """Measure what a file asks for; returns the exit code."""
    asked, answer = map(Path, words)
    quieten()
    with contextlib.suppress(KeyboardInterrupt):
        measure(Request(**json.loads(asked.read_text(encoding="utf-8"))), answer)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
