"""The Trainer's arguments: which may be set, and that as many processes run as it wants."""

import difflib
import inspect
import os
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from omegaconf import DictConfig

from src.command_line import TRAINER as DEFAULT
from src.errors import UserError

# Lightning takes jobs of these names for a shell, in which it starts its processes itself.
_SHELLS = ("bash", "interactive")
# What a run sets itself, and what of ours to use instead.
_SAMPLERS = "the samplers here divide the images themselves, each counted once"
_OURS = {
    "logger": "logger=csv, wandb, tensorboard or mlflow, or logger.NAME=… adds one",
    "callbacks": "callbacks.NAME=… sets, adds or (null) removes one",
    "plugins": "checkpoints are written whole or not at all, through a plugin of the run's own",
    "default_root_dir": "hydra.run.dir=FOLDER chooses the run's folder",
    "enable_checkpointing": "callbacks.recent.minutes=… and callbacks.best=… choose what is saved",
    "enable_progress_bar": "callbacks.progress=null leaves the bar out",
    "barebones": "it would leave out checkpoints, logs and results",
    "limit_predict_batches": "training and test predict nothing else; trainer.limit_test_batches=…"
    " bounds the test",
    "reload_dataloaders_every_n_epochs": "images are drawn anew in every epoch, by seed= and the"
    " epoch's number",
    "enable_autolog_hparams": "config.yaml in the run's folder holds every setting, and"
    " logger=wandb, tensorboard and mlflow log it",
    "model_registry": "checkpoints lie in the run's folder, hydra.run.dir=FOLDER says where",
    "fast_dev_run": "debug=fast runs two batches of everything, dry_run=true measures a step",
}


def devices_of(trainer: DictConfig) -> int | None:
    """Processes on each node; None where the machine decides (`auto`, -1)."""
    devices: Any = trainer.devices
    if isinstance(devices, Sequence) and not isinstance(devices, str):
        return len(devices)
    if isinstance(devices, str) and "," in devices:
        return len([part for part in devices.split(",") if part.strip()])
    try:
        count = int(devices)
    except (TypeError, ValueError):
        return None
    return count if count >= 0 else None


def processes_of(trainer: DictConfig) -> int:
    """Processes of all nodes; where the machine decides, one for each of its devices."""
    devices = devices_of(trainer)
    each = _visible(str(trainer.accelerator)) if devices is None else devices
    return each * int(trainer.num_nodes)


def require_as_many(cfg: DictConfig) -> None:
    """Refuse to train several copies of one run in one folder, or to wait for nobody.

    Raises:
        UserError: The tasks of SLURM's job step or torchrun's processes are not
            `trainer.devices` × `trainer.num_nodes`.
    """
    found = _tasks()
    if found is None:
        return
    tasks, nodes, said, advice = found
    wanted_nodes = int(cfg.trainer.num_nodes)
    devices = processes_of(cfg.trainer) // wanted_nodes
    if tasks == devices * wanted_nodes and nodes in (None, wanted_nodes):
        if is_slurm_task():
            _require_tasks_per_node(tasks, devices)
        return
    on = f" on {nodes} node{'s' * (nodes != 1)}" if nodes is not None else ""
    raise UserError(
        f"{said} started {tasks} process{'es' * (tasks != 1)}{on}, but trainer.devices={devices} ×"
        f" trainer.num_nodes={wanted_nodes} are {devices * wanted_nodes}: each of them has to be"
        f" one process. {advice}"
    )


def _require_tasks_per_node(tasks: int, devices: int) -> None:
    """Refuse what Lightning would end with a traceback, once all data is checked."""
    each = os.environ.get("SLURM_NTASKS_PER_NODE")
    if each != str(devices) and (each is not None or tasks > 1):
        said = "not given" if each is None else each
        raise UserError(
            f"--ntasks-per-node is {said}, but trainer.devices={devices}: give srun, or the job,"
            f" --ntasks-per-node={devices}"
        )


def is_slurm_task() -> bool:
    """Whether this process is one of a job step's, and no command in a shell of SLURM's."""
    known = _number("SLURM_NTASKS") and "SLURM_PROCID" in os.environ
    return bool(known) and os.environ.get("SLURM_JOB_NAME") not in _SHELLS


def _tasks() -> tuple[int, int | None, str, str] | None:
    """How many processes on how many nodes, who started them, and what to do if that is wrong."""
    if is_slurm_task():
        tasks = int(os.environ["SLURM_NTASKS"])
        nodes = _number("SLURM_STEP_NUM_NODES") or _number("SLURM_NNODES") or 1
        each = tasks // nodes
        return (
            tasks,
            nodes,
            "SLURM",
            f"Set trainer.devices={each} trainer.num_nodes={nodes}, or --ntasks-per-node and"
            " --nodes of the job, and start the command with srun",
        )
    world = _number("WORLD_SIZE")
    if world and "RANK" in os.environ:
        local = _number("LOCAL_WORLD_SIZE")
        machines = world // local if local else None
        return (
            world,
            machines,
            "torchrun (or whoever set WORLD_SIZE)",
            f"Set trainer.devices={local or world} trainer.num_nodes={machines or 1}, or torchrun's"
            " --nproc-per-node and --nnodes",
        )
    return None


def _number(name: str) -> int | None:
    text = os.environ.get(name, "")
    return int(text) if text.isdigit() else None


def _visible(accelerator: str) -> int:
    import torch  # takes seconds to import, and `auto` is rare

    return 1 if accelerator == "cpu" else max(1, torch.cuda.device_count())


def require_known(trainer: DictConfig) -> None:
    """Refuse a key under `trainer` that would have no effect.

    Raises:
        UserError: Lightning has no such argument, or the run sets it itself; with what to do.
    """
    if trainer.get("use_distributed_sampler"):
        raise UserError(f"trainer.use_distributed_sampler=true: {_SAMPLERS}")
    for key in map(str, trainer):
        if key in _OURS:
            raise UserError(f"trainer.{key} is the run's own: {_OURS[key]}")
        if key not in DEFAULT and key not in arguments():
            raise UserError(
                f"trainer.{key} is no argument of lightning.Trainer{like(key, arguments())}"
            )


@cache
def arguments() -> frozenset[str]:
    """Names of the Trainer's arguments."""
    import lightning  # takes seconds; the keys of most commands are known without

    return frozenset(inspect.signature(lightning.Trainer).parameters)


def like(key: str, known: Iterable[str]) -> str:
    """`; did you mean …?`, if anything known is close."""
    close = difflib.get_close_matches(key, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
