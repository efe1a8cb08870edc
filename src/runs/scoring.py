"""Turns `evaluate.py ckpt=…` into a run that only tests."""

from omegaconf import DictConfig, OmegaConf

from src.errors import UserError
from src.networks import registry

from . import checkpoints


def as_test_run(cfg: DictConfig) -> DictConfig:
    """The config with the checkpoint's own network, geometry and inputs in place of the model's.

    A file under its authors' names says nothing of itself: `model=` then has to.
    """
    if cfg.ckpt is None:
        raise UserError("give maps=FOLDER truth=FOLDER, or ckpt=FILE data=NAME")
    if cfg.data is None:
        raise UserError("ckpt= needs a data set to be scored on, for example data=dis5k")
    path = registry.resolve(cfg.ckpt).absolute()
    cfg = cfg.copy()
    OmegaConf.set_struct(cfg, False)
    identity = checkpoints.identity(path)
    if identity is None:
        cfg.init_from = str(path)
    else:
        cfg.checkpoint = str(path)
        cfg.model.name = identity["model"]
        for key in ("network", "geometry", "inputs"):
            OmegaConf.update(cfg, f"model.{key}", identity[key], merge=False)
        cfg.model.geometry._target_ = "src.geometry.Geometry"
        cfg.model.losses = {}
        cfg.model.teacher = None
    cfg.fit = False
    return cfg
