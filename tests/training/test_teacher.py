"""The ground-truth encoder's run follows its own recipe, not that of the network it teaches."""

from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig

from src.errors import UserError
from src.settings.nodes import check_nodes
from src.training.config import config_hash
from src.training.execute import build_module
from src.training.teacher import build_teacher, obtain_teacher, stage_one
from src.weights.checkpoint import WeightsError
from src.weights.loading import create
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
    check_nodes(cfg)
    obtain_teacher(cfg, tmp_path)
    assert cfg.model.teacher.checkpoint is None


def small(*words: str) -> DictConfig:
    return composed("model=isnet", "model.network.width=4", "model.size=64", *words)


def test_the_loss_gets_the_trained_network(tmp_path: Path) -> None:
    trained = create("isnet_gt_encoder", width=4)
    path = tmp_path / "teacher.pth"
    torch.save(trained.state_dict(), path)
    module = build_module(small(f"model.teacher.checkpoint={path}"))
    teacher = module.losses["features"].teacher
    for key, value in trained.state_dict().items():
        assert torch.equal(teacher.state_dict()[key], value), key
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


def test_the_teacher_is_neither_saved_nor_trained_nor_sent_to_other_ranks() -> None:
    module = build_module(small())
    teacher = module.losses["features"].teacher
    own = {id(parameter) for parameter in teacher.parameters()}
    groups = module.make_optimizer().param_groups
    assert not own & {id(parameter) for group in groups for parameter in group["params"]}
    assert not own & {id(parameter) for parameter in module.parameters()}  # what DDP sees
    assert {key.partition(".")[0] for key in module.state_dict()} == {"network"}


def test_without_a_distance_there_is_no_teacher_to_learn_from() -> None:
    cfg = small("model.feature_supervision=null")
    assert build_teacher(cfg.model) is None
    assert list(build_module(cfg).losses) == ["side_outputs"]


def test_a_teacher_of_another_width_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "teacher.pth"
    torch.save(create("isnet_gt_encoder", width=8).state_dict(), path)
    with pytest.raises(WeightsError, match=r"teacher\.pth does not fit ISNetGTEncoder"):
        build_teacher(small(f"model.teacher.checkpoint={path}").model)


def test_a_missing_teacher_is_named(tmp_path: Path) -> None:
    cfg = composed("model=isnet", "model.teacher.checkpoint=absent.ckpt")
    with pytest.raises(UserError, match=r"absent\.ckpt"):
        obtain_teacher(cfg, tmp_path)
