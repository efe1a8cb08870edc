"""What is set of Lightning's Trainer takes effect, or is refused by name."""

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from src.command_line import TRAINER, quote_overrides
from src.errors import UserError
from src.settings.training import parse_training
from src.training import execute
from src.training.execute import build_trainer
from src.training.trainer import arguments, require_known
from tests.conftest import RunCommand
from tests.running import TINY
from tests.test_configs import composed


@pytest.mark.parametrize(
    ("key", "instead"),
    [
        ("plugins", "plugin of the run's own"),
        ("callbacks", r"callbacks\.NAME"),
        ("logger", "logger=csv, wandb, tensorboard or mlflow"),
        ("default_root_dir", r"hydra\.run\.dir"),
        ("enable_checkpointing", r"callbacks\.recent"),
        ("enable_progress_bar", r"callbacks\.progress=null"),
        ("fast_dev_run", "debug=fast"),
        ("barebones", "checkpoints"),
        ("limit_predict_batches", r"trainer\.limit_test_batches"),
        ("reload_dataloaders_every_n_epochs", "drawn anew in every epoch"),
        ("enable_autolog_hparams", r"config\.yaml .*logger=wandb"),
        ("model_registry", r"hydra\.run\.dir"),
    ],
)
def test_what_a_run_sets_itself_is_refused_with_our_key(key: str, instead: str) -> None:
    with pytest.raises(UserError, match=rf"trainer\.{key} is the run's own: .*{instead}"):
        require_known(OmegaConf.create({"devices": 1, key: 1}))


def test_a_misspelt_key_is_refused_with_the_right_one() -> None:
    with pytest.raises(UserError, match=r"trainer\.limit_train_batch .*mean limit_train_batches"):
        require_known(OmegaConf.create({"limit_train_batch": 1}))
    with pytest.raises(UserError, match="use_distributed_sampler=true"):
        require_known(OmegaConf.create({"use_distributed_sampler": True}))


def test_every_key_of_the_config_is_one_of_lightnings() -> None:
    assert arguments() >= TRAINER - {"_target_"}
    require_known(composed().trainer)


def test_every_key_of_lightning_can_be_given_without_a_plus(tmp_path: Path) -> None:
    words = quote_overrides(["trainer.limit_train_batches=3", "+trainer.devices=1"])
    assert words == ["++trainer.limit_train_batches=3", "trainer.devices=1"]
    cfg = composed(*words, "trainer.accelerator=cpu", "logger=csv", "callbacks.progress=null")
    cfg.callbacks, cfg.logger = {}, {}
    assert build_trainer(cfg, tmp_path).limit_train_batches == 3


# A value that each argument takes and that no config of ours has.
PASSED_ON: dict[str, Any] = {
    "accelerator": "cpu",
    "strategy": "ddp",
    "devices": 3,
    "num_nodes": 2,
    "precision": "bf16-mixed",
    "max_epochs": 77,
    "min_epochs": 2,
    "max_steps": 78,
    "min_steps": 3,
    "max_time": "00:01:00:00",
    "limit_train_batches": 4,
    "limit_val_batches": 5,
    "limit_test_batches": 6,
    "overfit_batches": 7,
    "val_check_interval": 8,
    "check_val_every_n_epoch": 9,
    "num_sanity_val_steps": 5,
    "log_every_n_steps": 11,
    "enable_model_summary": True,
    "accumulate_grad_batches": 12,
    "gradient_clip_val": 0.13,
    "gradient_clip_algorithm": "value",
    "deterministic": True,
    "benchmark": True,
    "inference_mode": False,
    "use_distributed_sampler": False,  # true is refused, with a reason
    "profiler": "simple",
    "detect_anomaly": True,
}


@pytest.mark.parametrize("key", sorted(arguments()))
def test_every_argument_of_lightning_is_passed_on_or_refused(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if key == "sync_batchnorm":
        pytest.skip("passed on where there is a GPU; a log line says that torch has it for GPUs")
    if key not in PASSED_ON:
        with pytest.raises(UserError, match=rf"trainer\.{key} is the run's own: \w"):
            require_known(OmegaConf.create({key: 1}))
        return
    (word,) = quote_overrides([f"+trainer.{key}={PASSED_ON[key]}"])
    cfg = parse_training(composed(word))
    require_known(cfg.trainer)
    cfg.callbacks, cfg.logger = {}, {}
    given: dict[str, Any] = {}
    monkeypatch.setattr(execute, "build", lambda node, **more: given.update(node, **more))
    build_trainer(cfg, tmp_path)
    assert given[key] == PASSED_ON[key]


@pytest.mark.parametrize(
    ("words", "interval", "epochs"),
    [
        (["model.val_check_interval=null"], 1.0, 1),
        (["val_check_interval=500"], 500, None),
        (["trainer.val_check_interval=500"], 500, None),
        (["val_check_interval=0.25"], 0.25, 1),
        (["val_check_interval=null", "trainer.check_val_every_n_epoch=5"], 1.0, 5),
    ],
)
def test_validations_come_as_often_as_the_keys_say(
    words: list[str], interval: float, epochs: int | None, tmp_path: Path
) -> None:
    cfg = parse_training(composed(*quote_overrides(words), "trainer.accelerator=cpu"))
    cfg.callbacks, cfg.logger = {}, {}
    trainer = build_trainer(cfg, tmp_path)
    assert (trainer.val_check_interval, trainer.check_val_every_n_epoch) == (interval, epochs)


def test_what_lightning_refuses_is_one_line(tmp_path: Path) -> None:
    words = quote_overrides(["trainer.gradient_clip_algorithm=odd", "trainer.accelerator=cpu"])
    cfg = parse_training(composed(*words))
    cfg.callbacks, cfg.logger = {}, {}
    with pytest.raises(UserError, match=r"lightning\.Trainer: .*odd"):
        build_trainer(cfg, tmp_path)


@pytest.mark.parametrize("word", ["+trainer.fast_dev_run=true", "trainer.device=2"])
def test_a_refusal_comes_before_anything_is_written(
    tmp_path: Path, run_command: RunCommand, word: str
) -> None:
    said = run_command("train.py", *TINY, "data=synthetic", word, code=1)
    assert word.lstrip("+").split("=")[0] in said
    assert "Traceback" not in said
    assert not list(tmp_path.rglob("config.yaml"))
