"""The ground-truth encoder's run follows its own recipe, not that of the network it teaches."""

from pathlib import Path

import pytest

from src.errors import UserError
from src.training.config import config_hash
from src.training.teacher import obtain_teacher, stage_one
from tests.test_configs import composed


def test_stage_one_is_the_encoders_recipe_on_the_same_data() -> None:
    cfg = composed("model=isnet", "data=dis5k", "model.size=512", "seed=3")
    stage = stage_one(cfg)
    assert stage.model.name == "isnet_gt_encoder"
    assert stage.model.size == 512
    assert stage.data.train == cfg.data.train
    assert stage.data.val_split == "train"
    assert stage.callbacks.early_stopping.threshold == 0.99
    assert stage.callbacks.early_stopping.monitor == stage.callbacks.best.monitor
    assert stage.callbacks.best.monitor.removeprefix("val/") in stage.metrics.val
    assert stage.val_check_interval is stage.trainer.val_check_interval is None
    assert (stage.optimizer._target_, stage.lr_scheduler) == ("torch.optim.Adam", None)
    assert (stage.seed, stage.test, stage.weights) == (3, False, None)
    assert cfg.model.name == "isnet"


def test_what_the_encoder_does_not_see_shares_it() -> None:
    one = composed("model=isnet", "data=dis5k")
    pupils = ["model.feature_supervision=kl", "optimizer=adamw", "lr_scheduler=poly"]
    other = composed("model=isnet", "data=dis5k", *pupils)
    apart = composed("model=isnet", "data=dis5k", "model.network.width=32")
    assert config_hash(stage_one(one)) == config_hash(stage_one(other))
    assert config_hash(stage_one(one)) != config_hash(stage_one(apart))


def test_no_feature_supervision_needs_no_teacher(tmp_path: Path) -> None:
    cfg = composed("model=isnet", "model.feature_supervision=null")
    obtain_teacher(cfg, tmp_path)
    assert cfg.model.teacher.checkpoint is None


def test_a_missing_teacher_is_named(tmp_path: Path) -> None:
    cfg = composed("model=isnet", "model.teacher.checkpoint=absent.ckpt")
    with pytest.raises(UserError, match=r"absent\.ckpt"):
        obtain_teacher(cfg, tmp_path)
