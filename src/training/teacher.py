"""Obtains the ground-truth encoder that IS-Net learns from: loads it, or trains it first, once."""

import logging
import os
import subprocess
import sys
from pathlib import Path

from filelock import FileLock
from omegaconf import DictConfig, OmegaConf

from src.command_line import literal
from src.errors import UserError
from src.instantiate import build
from src.networks.network import Network, require_network
from src.processes import die_with_parent
from src.training import checkpoints, preemption
from src.training.config import config_hash, has_key, load_config, save_config
from src.training.data_state import DataState, require_taught_by
from src.training.resume import ACCEPT
from src.training.resume_rules import SAME
from src.weights import registry
from src.weights.loading import load_official

log = logging.getLogger(__name__)

FINISHED = "finished"  # an empty file beside the checkpoints of a teacher that is trained


def obtain_teacher(cfg: DictConfig, folder: Path, data: DataState | None = None) -> None:
    """Set `cfg.model.teacher.checkpoint`, training the teacher's own run first where needed.

    The teacher is a run like any other, in `cfg.model.teacher.folder/<hash of its config>`: jobs
    of a sweep share it, and a killed one continues. `data` is the pupil's.
    """
    teacher = _teacher_of(cfg.model)
    if teacher is None:
        return
    if teacher.checkpoint is None:
        stage = stage_one(load_config(folder, located=False))
        checkpoint = _train(stage, Path(teacher.folder))
        if data is not None:
            require_taught_by(data, checkpoint.parents[1], stage.get("resume_data") == ACCEPT)
        teacher.checkpoint = literal(str(checkpoint))
    else:
        teacher.checkpoint = literal(str(registry.locate(teacher.checkpoint)))


def build_teacher(model: DictConfig) -> Network | None:
    """The network that a model learns from, with the weights of its checkpoint if it has one.

    None for a model that learns from masks alone.

    Raises:
        WeightsError: The checkpoint is damaged, or of another network.
    """
    teacher = _teacher_of(model)
    if teacher is None:
        return None
    network = require_network(build(teacher.recipe.network))
    if teacher.checkpoint is not None:
        load_official(network, teacher.checkpoint)
    return network


def _teacher_of(model: DictConfig) -> DictConfig | None:
    return None if model.get("feature_supervision") is None else model.get("teacher")


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
    """The config of the teacher's run: the same data and machine, the teacher as the model.

    What a run has of its model is set anew, since the config is resolved already. How many images
    are in memory at once stays as it is: that fits the machine.
    """
    stage = cfg.copy()
    teacher = stage.model.teacher
    stage.model, stage.optimizer, stage.lr_scheduler = teacher.recipe, teacher.optimizer, None
    for name, run in SAME.items():
        key, origin = (run, name) if name.startswith("model.") else (name, run)
        if key != "data.batch_size" and has_key(stage, key):
            OmegaConf.update(stage, key, OmegaConf.select(stage, origin), merge=False)
    stage.metrics.test, stage.callbacks.results, stage.test = [], None, False
    stage.weights = None
    # The encoder has losses of its own, and sees masks alone.
    stage.late_losses, stage.backgrounds = None, None
    stage.pop("memory", None)  # what it chose is in the keys that it set
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
