"""Turns `evaluate.py ckpt=…` into a run that only tests."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from src.errors import UserError
from src.literals import literal
from src.networks import registry

from . import checkpoints, models


def as_test_run(cfg: DictConfig) -> DictConfig:
    """The config with the checkpoint's own model in place of the command's.

    A file under its authors' names says nothing of itself: `model=` then has to. Click-guided
    models are measured as their papers do, outside of void pixels, unless `metrics` was chosen.
    """
    if cfg.ckpt is None:
        raise UserError("give maps=FOLDER truth=FOLDER, or ckpt=FILE data=NAME")
    if not (_chosen("data") or _chosen("experiment")):
        raise UserError("ckpt= needs a data set to be scored on, for example data=dis5k")
    path = registry.resolve(cfg.ckpt).absolute()
    cfg = cfg.copy()
    OmegaConf.set_struct(cfg, False)
    identity = checkpoints.identity(path)
    if identity is None:
        cfg.init_from = literal(str(path))
    else:
        _become(cfg, identity, path)
    if "prompt" in cfg.model.inputs and not _chosen("metrics"):
        cfg.metrics.test = cfg.model.test_metrics
    cfg.fit = False
    return cfg


def _become(cfg: DictConfig, identity: Mapping[str, Any], path: Path) -> None:
    """Put the model that a checkpoint names, and what it says of itself, into the config."""
    name = identity["model"]
    if name != cfg.model.name and name in models.names():
        cfg.model = models.composed(name)
    cfg.checkpoint, cfg.model.name = literal(str(path)), literal(str(name))
    for key in ("network", "geometry", "inputs"):
        OmegaConf.update(cfg, f"model.{key}", identity[key], merge=False)
    cfg.model.geometry._target_ = "src.geometry.Geometry"
    if identity.get("prompts") is not None:
        known = {"_target_": "src.datamodules.prompts.prompts_of", **identity["prompts"]}
        OmegaConf.update(cfg, "model.prompts", known, merge=False)
    cfg.model.losses = {}
    cfg.model.teacher = None


def _chosen(group: str) -> bool:
    """Whether the command line names a group or one of its keys."""
    if not HydraConfig.initialized():
        return False
    words = (word.lstrip("+~") for word in HydraConfig.get().overrides.task)
    return any(word.startswith((f"{group}=", f"{group}.")) for word in words)
