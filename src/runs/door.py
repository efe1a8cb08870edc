"""What `train.py` and `evaluate.py` do with a composed config: a folder, a frozen file, a process.

A single run replaces this process, so that signals and exit codes are its own. A job of a sweep
is a child process, so that no state of one reaches the next.
"""

import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from src.errors import UserError
from src.settings.training import parse_training

from . import freeze, preemption, resume
from .launched import require_as_many
from .sweep import run_job
from .trainer_keys import require_known

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


def start_evaluation(cfg: DictConfig) -> None:
    """Score a checkpoint as a run that only tests."""
    from .scoring import as_test_run  # reads the checkpoint, hence needs torch

    start(as_test_run(cfg))


def continue_run(words: Sequence[str]) -> None:
    """Carry out `resume=RUN key=value`, in Hydra's grammar."""
    asked = resume.read(words)
    cfg, changes = resume.amended(asked)
    require_known(cfg.trainer)
    require_as_many(cfg)
    _put(parse_training(cfg), asked.folder, changes, asked.accept_data)
    _carry_out(asked.folder)


def start(cfg: DictConfig) -> float | None:
    """Freeze the config and carry the run out; in a sweep, return what it is judged by."""
    hydra = HydraConfig.get()
    overrides = list(hydra.overrides.task)
    if hydra.mode == RunMode.MULTIRUN:
        if cfg.resume is not None:
            raise UserError(
                "resume continues one run, without -m; the same sweep's command continues a sweep"
            )
        require_known(cfg.trainer)
        _wait_politely()
        settings = [o for o in overrides if not o.startswith(_OF_THE_SWEEP)]
        return run_job(cfg, Path(hydra.sweep.dir).absolute(), settings)
    if cfg.resume is not None:
        continue_run(overrides)
        return None
    cfg = parse_training(cfg)
    # Unresolved: Hydra has resolved it once, and what is left of `${x}` is part of the name.
    folder = Path(OmegaConf.to_container(hydra.runtime)["output_dir"]).absolute()  # type: ignore[call-overload, index]
    require_known(cfg.trainer)
    require_as_many(cfg)
    if _first_rank():
        freeze_or_continue(cfg, folder)
    else:
        freeze.wait_for_config(folder)
    _carry_out(folder)
    return None


def _put(cfg: DictConfig, folder: Path, changes: resume.Changes, accept_data: bool) -> None:
    """Freeze the config of a run that goes on, and note that it does and what changed."""
    with open_dict(cfg):
        cfg.resume_data = resume.ACCEPT if accept_data else None
    if _first_rank():
        resume.record(folder, cfg, changes)
        freeze.freeze(cfg, folder)
    else:
        freeze.wait_for_config(folder, cfg)


def _carry_out(folder: Path) -> None:
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
    before, after = freeze.thaw(folder, located=False), freeze.resolved(cfg)
    if freeze.config_hash(before) != freeze.config_hash(after):
        raise UserError(
            f"{folder} holds a run with other settings; "
            f"continue that one with resume={folder}, or give this one another name="
        )
    accept = cfg.get("resume_data") == resume.ACCEPT
    _put(after, folder, resume.changes_of(before, after), accept)


def _wait_politely() -> None:
    """Let OpenMP's idle threads sleep: spinning, they take the cores from the data's workers.

    Measured on 2 busy cores: a training step of U²-Net-p takes half the CPU time and half as long.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _first_rank() -> bool:
    """Whether this is the process that writes, of those that were started together."""
    named = (os.environ.get(name) for name in ("RANK", "SLURM_PROCID", "NODE_RANK"))
    return next((rank for rank in named if rank is not None), "0") == "0"
