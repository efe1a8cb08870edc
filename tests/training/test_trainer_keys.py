"""What is set of Lightning's Trainer takes effect, or is refused by name."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from src.command_line import TRAINER, quote_overrides
from src.errors import UserError
from src.training.execute import build_trainer
from src.training.trainer import arguments, require_known
from tests.conftest import Door
from tests.running import TINY
from tests.test_configs import composed


@pytest.mark.parametrize(
    ("key", "instead"),
    [
        ("val_check_interval", "validate_every"),
        ("check_val_every_n_epoch", "validate_every"),
        ("plugins", "plugin of the run's own"),
        ("callbacks", r"callbacks\.NAME"),
        ("logger", "logger=wandb"),
        ("default_root_dir", r"hydra\.run\.dir"),
        ("enable_checkpointing", r"callbacks\.recent"),
        ("enable_progress_bar", r"callbacks\.progress=null"),
        ("fast_dev_run", "debug=fast"),
        ("barebones", "checkpoints"),
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
    words = quote_overrides(["trainer.limit_train_batches=3", "trainer.devices=1"])
    assert words == ["++trainer.limit_train_batches=3", "trainer.devices=1"]
    cfg = composed(*words, "trainer.accelerator=cpu", "logger=csv", "callbacks.progress=null")
    cfg.callbacks, cfg.logger = {}, {}
    assert build_trainer(cfg, tmp_path).limit_train_batches == 3


@pytest.mark.parametrize("word", ["+trainer.val_check_interval=5", "trainer.device=2"])
def test_a_refusal_comes_before_anything_is_written(tmp_path: Path, door: Door, word: str) -> None:
    said = door("train.py", *TINY, "data=shapes", word, code=1)
    assert word.lstrip("+").split("=")[0] in said
    assert "Traceback" not in said
    assert not list(tmp_path.rglob("config.yaml"))
