"""What `train.py` and `evaluate.py` do with a composed config: a folder, a frozen file, a process.

A single run replaces this process, so that signals and exit codes are its own. A job of a sweep
is a child process, so that no state of one reaches the next.
"""

import logging
import os
import sys
import time
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from src.errors import UserError, told_of_files

from . import freeze, preemption
from .sweep import run_job

log = logging.getLogger(__name__)

_OF_THE_SWEEP = ("sweep=", "sweep.", "launcher=", "launcher.")  # how jobs run, not what they are


def register() -> None:
    """Make `${run_folder:…}` and `${choice:…}` known to the configs."""
    OmegaConf.register_new_resolver("run_folder", run_folder, replace=True)
    OmegaConf.register_new_resolver("choice", choice, replace=True)
    OmegaConf.register_new_resolver("images_at_once", images_at_once, replace=True)
    OmegaConf.register_new_resolver("accumulate", lambda whole, part: whole // part, replace=True)


def choice(group: str, *, _root_: DictConfig) -> str:
    """What the command chose of a group, `dis5k` for `data=dis5k`; outside a door, its name."""
    if HydraConfig.initialized():
        hydra = HydraConfig.get()
    elif (hydra := _root_.get("hydra")) is None:  # a sweep's own config has it, but sets it late
        return group
    return str(hydra.runtime.choices.get(group) or "none")


def images_at_once(batch: int, size: int | list[int], fitting: int) -> int:
    """The largest part of a batch that fits, where `fitting` images of 1024² do."""
    height, width = (size, size) if isinstance(size, int) else size
    limit = max(1, fitting * 1024 * 1024 // (height * width))
    return max(part for part in range(1, min(batch, limit) + 1) if batch % part == 0)


def run_folder(resume: str | None, parent: str) -> str:
    """The folder of a run. Processes that SLURM or torchrun started together agree on it."""
    if resume is not None:
        return str(resume)
    slurm, torchrun = os.environ.get("SLURM_JOB_ID"), os.environ.get("TORCHELASTIC_RUN_ID")
    if slurm and "SLURM_PROCID" in os.environ:
        task = os.environ.get("SLURM_ARRAY_TASK_ID", "")
        return f"{parent}/slurm-{slurm}{'-' + task if task else ''}"
    if torchrun and torchrun != "none":
        return f"{parent}/torchrun-{torchrun}"
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 or "NODE_RANK" in os.environ:
        sys.exit(
            "error: processes that are started together need one folder: give torchrun "
            f"--rdzv-id=NAME, or all of them hydra.run.dir={parent}/NAME"
        )
    # One launch of a door is one process: its own id keeps two of the same second apart.
    return f"{parent}/{time.strftime('%Y-%m-%d_%H-%M-%S')}-{os.getpid()}"


def start(cfg: DictConfig) -> float | None:
    """Freeze the config and carry the run out; in a sweep, return what it is judged by."""
    try:
        with told_of_files():
            return _start(cfg)
    except UserError as error:
        sys.exit(f"error: {error}")


def start_evaluation(cfg: DictConfig) -> None:
    """Score a checkpoint as a run that only tests."""
    from .scoring import as_test_run  # reads the checkpoint, hence needs torch

    try:
        with told_of_files():
            _start(as_test_run(cfg))
    except UserError as error:
        sys.exit(f"error: {error}")


def _start(cfg: DictConfig) -> float | None:
    hydra = HydraConfig.get()
    overrides = [o for o in hydra.overrides.task if not o.startswith("resume=")]
    if hydra.mode == RunMode.MULTIRUN:
        _wait_politely()
        settings = [o for o in overrides if not o.startswith(_OF_THE_SWEEP)]
        return run_job(cfg, Path(hydra.sweep.dir).absolute(), settings)
    folder = Path(cfg.resume or hydra.runtime.output_dir).absolute()
    if cfg.resume is not None:
        _amend(folder, overrides)
    elif _first_rank():
        freeze_or_continue(cfg, folder)
    else:
        freeze.wait_for_config(folder)
    command = [sys.executable, "-m", "src.runs.execute", str(folder)]
    _wait_politely()
    sys.stdout.flush()
    os.execv(sys.executable, command)


def freeze_or_continue(cfg: DictConfig, folder: Path) -> None:
    """Freeze a run's config; where a scheduler started the run before, let it go on as it was.

    Raises UserError where the folder holds a training with other settings.
    """
    trained = any((folder / "checkpoints").glob("*.ckpt"))
    if not (cfg.fit and trained and (folder / freeze.CONFIG).is_file()):
        freeze.freeze(cfg, folder)
        return
    if preemption.restarted():
        return  # the yaml files may have changed since; the run has not
    before = freeze.thaw(folder, located=False)
    if freeze.config_hash(before) != freeze.config_hash(freeze.resolved(cfg)):
        raise UserError(
            f"{folder} holds a run with other settings; "
            f"continue that one with resume={folder}, or give this one another name="
        )
    freeze.freeze(cfg, folder)


def _amend(folder: Path, overrides: list[str]) -> None:
    """Continue a run as it was, except for single values given beside `resume=`."""
    cfg = freeze.thaw(folder, located=False)
    OmegaConf.set_struct(cfg, True)
    for override in overrides:
        key = override.lstrip("+~").split("=", 1)[0]
        if OmegaConf.is_config(OmegaConf.select(cfg, key)) or "/" in key:
            raise UserError(
                f"resume continues a run as it was: {override} would change a whole group; "
                "start a new run, or give single values such as trainer.max_epochs=20"
            )
    try:
        cfg.merge_with_dotlist(overrides)
    except Exception as error:
        raise UserError(f"resume: {str(error).splitlines()[0]}") from error
    if _first_rank():
        freeze.freeze(cfg, folder)


def _wait_politely() -> None:
    """Let OpenMP's idle threads sleep: spinning, they take the cores from the data's workers.

    Measured on 2 busy cores: a training step of U²-Net-p takes half the CPU time and half as long.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _first_rank() -> bool:
    """Whether this is the process that writes, of those that were started together."""
    named = (os.environ.get(name) for name in ("RANK", "SLURM_PROCID", "NODE_RANK"))
    return next((rank for rank in named if rank is not None), "0") == "0"
