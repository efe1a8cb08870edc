"""Obtains the ground-truth encoder that IS-Net learns from: loads it, or trains it first, once."""

import logging
import os
import subprocess
import sys
from pathlib import Path

from filelock import FileLock
from omegaconf import DictConfig

from src.command_line import literal
from src.errors import UserError
from src.processes import die_with_parent
from src.training import checkpoints, preemption
from src.training.config import config_hash, load_config, save_config
from src.training.data_state import DataState, require_taught_by
from src.training.resume import ACCEPT
from src.weights import registry

log = logging.getLogger(__name__)

FINISHED = "finished"  # an empty file beside the checkpoints of a teacher that is trained


def obtain_teacher(cfg: DictConfig, folder: Path, data: DataState | None = None) -> None:
    """Set `cfg.model.teacher.checkpoint`, training the teacher's own run first where needed.

    The teacher is a run like any other, in `cfg.model.teacher.folder/<hash of its config>`: jobs
    of a sweep share it, and a killed one continues. `data` is the pupil's.
    """
    teacher = cfg.model.get("teacher")
    if teacher is None or cfg.model.get("feature_supervision") is None:
        return
    if teacher.checkpoint is None:
        stage = stage_one(load_config(folder, located=False))
        checkpoint = _train(stage, Path(teacher.folder))
        if data is not None:
            require_taught_by(data, checkpoint.parents[1], stage.get("resume_data") == ACCEPT)
        teacher.checkpoint = literal(str(checkpoint))
    else:
        teacher.checkpoint = literal(str(registry.locate(teacher.checkpoint)))
    _point_losses_at(cfg, literal(teacher.checkpoint))


def _train(stage: DictConfig, teachers: Path) -> Path:
    folder = teachers / config_hash(stage)
    # Ranks that someone else started (torchrun, SLURM) all come here and train it together; of
    # Lightning's own ranks only the first does, since it starts the others later.
    rank = int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")))
    if rank:
        return _run(folder)
    if "LOCAL_RANK" in os.environ and "RANK" not in os.environ:
        return checkpoints.best(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if (folder / FINISHED).is_file():
            log.info("ground-truth encoder: cached in %s", folder)
            return checkpoints.best(folder)
        log.info("ground-truth encoder: training it in %s", folder)
        save_config(stage, folder)
        return _run(folder)


def stage_one(cfg: DictConfig) -> DictConfig:
    """The config of the teacher's run: the same data, the teacher's recipe as the model.

    The config is resolved already, so what follows from the model is pointed at the recipe here.
    """
    stage = cfg.copy()
    recipe = stage.model.teacher.recipe
    stage.optimizer, stage.lr_scheduler = stage.model.teacher.optimizer, None
    stage.model = recipe
    stage.val_check_interval = stage.trainer.val_check_interval = recipe.val_check_interval
    stage.trainer.max_epochs, stage.trainer.max_steps = recipe.epochs, recipe.steps
    stage.trainer.gradient_clip_val = recipe.gradient_clip_val
    stage.trainer.sync_batchnorm = recipe.sync_batchnorm
    stage.data.val_split, stage.data.augment = recipe.validate_on, recipe.augment
    stage.metrics.val, stage.metrics.test = recipe.val_metrics, []
    stage.callbacks.best.monitor = recipe.monitor
    stopping = stage.callbacks.early_stopping
    stopping.monitor, stopping.patience = recipe.monitor, recipe.patience
    stopping.threshold = recipe.stopping_threshold
    stage.callbacks.results = None
    stage.weights, stage.test = None, False
    if "finetune" in stage:  # the encoder is trained from nothing, on the new masks alone
        stage.finetune, stage.base, stage.callbacks.finetuning = None, None, None
    return stage


def _run(folder: Path) -> Path:
    command = [sys.executable, "-m", "src.training.execute", str(folder)]
    child = subprocess.Popen(command, preexec_fn=die_with_parent)
    with preemption.signals_forwarded(child):
        code = child.wait()
    if code == preemption.EXIT_CODE:
        raise preemption.Preempted
    if code:
        raise UserError(f"training the ground-truth encoder failed; see {folder}")
    (folder / FINISHED).touch()
    return checkpoints.best(folder)


def _point_losses_at(cfg: DictConfig, checkpoint: str) -> None:
    for term in cfg.model.losses.values():
        if "teacher" in term:
            term.checkpoint = checkpoint
