"""What the commands compose: the papers' recipes, help that reads well, one line for a mistake."""

import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from src.training.config import register, resolve
from tests.conftest import RunCommand

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"


def composed(*overrides: str, config: str = "train") -> DictConfig:
    register()
    with initialize_config_dir(str(CONF), version_base=None):
        return resolve(compose(config, list(overrides)))


def choices(group: str) -> list[str]:
    return sorted(p.stem for p in (CONF / group).glob("*.yaml") if not p.stem.startswith("base"))


@pytest.mark.parametrize("model", choices("model"))
def test_every_model_composes(model: str) -> None:
    cfg = composed(f"model={model}")
    assert cfg.model.name == model
    assert cfg.data.batch_size == cfg.model.batch_size


@pytest.mark.parametrize("data", choices("data"))
def test_every_data_set_composes(data: str) -> None:
    assert composed(f"data={data}").data._target_.startswith("src.datamodules.")


@pytest.mark.parametrize(
    "group", ["callbacks", "logger", "metrics", "debug", "memory", "trainer", "recipe"]
)
def test_every_other_choice_composes(group: str) -> None:
    for name in choices(group):
        composed(f"{group}={name}")


def test_isnet_on_dis5k_is_the_papers_recipe() -> None:
    cfg = composed("model=isnet", "data=dis5k", "trainer.devices=4")
    model, optimizer = cfg.model, cfg.optimizer
    assert (model.size, model.batch_size, optimizer.lr) == (1024, 8, 1e-3)
    assert optimizer._target_ == "torch.optim.Adam"
    assert list(model.processor.mean) == [0.5] * 3
    assert list(model.processor.std) == [1.0] * 3
    assert (cfg.val_check_interval, model.patience) == (2000, 20)
    assert model.feature_supervision == "mse"
    assert model.teacher.recipe.stopping_threshold == 0.99
    assert list(cfg.data.val) == ["DIS-VD"]
    assert list(cfg.data.test) == ["DIS-TE1", "DIS-TE2", "DIS-TE3", "DIS-TE4"]


@pytest.mark.parametrize(("model", "small"), [("u2net", False), ("u2netp", True)])
def test_u2net_on_duts_is_the_papers_recipe(model: str, small: bool) -> None:
    cfg = composed(f"model={model}", "data=duts")
    assert cfg.model.network.small is small
    assert (cfg.model.size, cfg.model.batch_size, cfg.optimizer.lr) == (320, 12, 1e-3)
    assert cfg.model.size * cfg.model.augment.fraction == pytest.approx(288)
    assert len(cfg.model.losses.side_outputs.weights) == 7
    assert cfg.model.processor.scale == "per_image_max"


def test_the_encoder_is_validated_on_what_it_learns_from() -> None:
    """The same by itself as on the way to IS-Net."""
    assert composed("model=isnet_gt_encoder").data.val_split == "train"
    assert composed("model=isnet_gt_encoder", "data=dis5k").data.val_split == "train"
    assert composed("model=isnet", "data=dis5k").data.val_split == "val"


def test_one_size_reaches_every_stage() -> None:
    cfg = composed("model=isnet", "model.size=512", "model.network.width=16")
    assert cfg.model.processor.size == 512
    assert cfg.model.teacher.recipe.processor.size == 512
    assert cfg.model.teacher.recipe.network.width == 16


@pytest.mark.parametrize(
    ("preset", "at_once", "accumulated"), [("8gb", 1, 8), ("16gb", 2, 4), ("80gb", 8, 1)]
)
def test_memory_presets_keep_the_effective_batch(
    preset: str, at_once: int, accumulated: int
) -> None:
    cfg = composed("model=isnet", "data=dis5k", f"memory={preset}")
    assert cfg.data.batch_size == at_once
    assert cfg.trainer.accumulate_grad_batches == accumulated
    assert cfg.model.size == 1024


@pytest.mark.parametrize(
    ("model", "at_once"), [("birefnet", (1, 1, 4)), ("birefnet_lite", (1, 2, 4))]
)
def test_models_that_keep_more_see_fewer_images_at_once(
    model: str, at_once: tuple[int, ...]
) -> None:
    for preset, images in zip(("16gb", "24gb", "80gb"), at_once, strict=True):
        cfg = composed(f"model={model}", "data=dis5k", f"memory={preset}")
        assert cfg.data.batch_size == images
        assert cfg.data.batch_size * cfg.trainer.accumulate_grad_batches == 4


def door_output(script: str, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / script), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("script", ["train.py", "evaluate.py"])
def test_help_shows_how_to_start(script: str) -> None:
    text = door_output(script, "--help")
    assert f"python {script} " in text
    assert len(text.splitlines()) < 45


def test_cfg_job_needs_no_torch() -> None:
    """Start-up is quick because nothing heavy is imported before it is needed."""
    code = (
        "import sys, runpy; sys.argv = ['train.py', 'model=isnet', '--cfg', 'job', '--resolve']\n"
        "runpy.run_path('train.py', run_name='__main__')\n"
        "heavy = {'torch', 'lightning', 'timm', 'albumentations', 'cv2'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert OmegaConf.create(done.stdout).model.name == "isnet"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model=isnot"], "Could not find 'model/isnot'"),
        (["model.sise=3"], "Could not override 'model.sise'"),
    ],
)
def test_a_mistyped_name_is_answered_with_what_there_is(arguments: list[str], message: str) -> None:
    text = door_output("train.py", *arguments, code=2)
    assert message in text
    assert "Traceback" not in text


def test_an_unset_data_root_is_one_line(
    monkeypatch: pytest.MonkeyPatch, run_command: RunCommand
) -> None:
    monkeypatch.delenv("FINECUT_DATA", raising=False)
    text = run_command("train.py", "data=dis5k", code=1)
    (line,) = (line for line in text.splitlines() if line.startswith("error: "))
    assert "data.root" in line
    assert "FINECUT_DATA" in line
