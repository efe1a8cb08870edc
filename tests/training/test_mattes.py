"""Training and scoring with mattes: nothing is cut at 128, from the files to the results."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from src.datamodules.check import check, inspections_of
from src.datamodules.file_facts import mask_faults
from src.datamodules.image_mask_folder import FolderDataModule
from src.errors import UserError
from src.metrics import score_image
from src.processing import Processor
from src.settings.training import parse_training
from src.training.run import Run, train
from tests.conftest import RunCommand
from tests.running import TINY

ALPHA = ["sad", "mad", "alpha_mse", "grad", "conn"]


@pytest.fixture(scope="module")
def mattes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images with mattes that are gray nearly everywhere, and one that is nowhere opaque."""
    root = tmp_path_factory.mktemp("mattes")
    for kind in ("images", "masks"):
        (root / kind).mkdir()
    rng = np.random.default_rng(0)
    for i in range(8):
        x = np.linspace(0, 1, 48 + i, dtype=np.float32)[None].repeat(40, axis=0)
        alpha = x * (0.4 if i == 3 else 1)
        image = rng.random((40, 48 + i, 3)) * (1 - alpha[..., None]) + alpha[..., None]
        for kind, values in (("images", image), ("masks", alpha)):
            levels = np.rint(values * 255).astype(np.uint8)
            cv2.imwrite(str(root / kind / f"cloud{i}.png"), levels)
    return root


def words(root: Path) -> list[str]:
    folders = [f"data.{use}.{kind}={kind}" for use in ("train", "test") for kind in KINDS]
    return ["data=folder", f"data.root={root}", f"data.cache_dir={root}/cache", *folders]


KINDS = ("images", "masks")


@pytest.fixture(scope="module")
def run(mattes: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs") / "soft"
    more = ["data.soft=true", "data.val_fraction=0.3", "model.epochs=1", f"hydra.run.dir={folder}"]
    return train([*TINY, *words(mattes), *more])


def module_of(root: Path, soft: bool) -> FolderDataModule:
    sources = {"images": "images", "masks": "masks"}
    return FolderDataModule(
        str(root), sources, None, {"all": sources}, Processor(32), cache_dir=f"{root}/c", soft=soft
    )


def test_mattes_are_refused_as_masks_and_taken_as_what_they_are(mattes: Path) -> None:
    with pytest.raises(UserError, match=r"8 problems(.|\n)*data\.soft=true"):
        module_of(mattes, soft=False).setup("fit")
    data = module_of(mattes, soft=True)
    data.setup("fit")
    assert mask_faults(data.pairs["train"], mattes / "c", soft=True) == {}


def test_alpha_reaches_the_batch_as_it_is_in_the_file(mattes: Path) -> None:
    data = module_of(mattes, soft=True)
    data.setup("fit")
    stored = cv2.imread(str(mattes / "masks" / "cloud3.png"), cv2.IMREAD_GRAYSCALE)
    assert stored is not None
    sample = data.test_sets["all"][3]
    assert np.array_equal(sample["mask_full"].numpy(), stored)
    resized = cv2.resize(stored, (32, 32), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(sample["mask"][0].numpy(), resized)


def test_a_check_knows_mattes(mattes: Path, tmp_path: Path) -> None:
    source = {"images": "images", "masks": "masks"}
    node = {"root": str(mattes), "train": source, "val": None, "test": None}
    for soft, problems in ((True, 0), (False, 8)):
        found = check(inspections_of(OmegaConf.create({**node, "soft": soft})), tmp_path, 1)
        assert len(found["problems"]) == problems


def test_a_run_is_chosen_and_scored_by_the_errors_of_alpha(run: Run) -> None:
    assert list(run.results["test"]) == ALPHA
    assert all(np.isfinite(value) for value in run.results["test"].values())
    assert run.config.model.monitor == run.config.callbacks.best.monitor == "val/mad"
    assert (run.folder / "gallery" / "test_test.png").is_file()
    assert run.checkpoint is not None
    held = torch.load(run.checkpoint, weights_only=True)
    steps = held["finecut"]["processor"]["restore_steps"]
    assert "sigmoid" in steps
    assert "min_max" not in steps


@pytest.mark.slow
def test_a_checkpoint_is_evaluated_by_them_and_others_say_what_they_cut(
    run: Run, mattes: Path, run_command: RunCommand, tmp_path: Path
) -> None:
    command = ["evaluate.py", f"weights={run.checkpoint}", *words(mattes)[:-2], "data.soft=true"]
    command += ["callbacks.progress=null", "trainer.accelerator=cpu", "data.num_workers=0"]
    assert "cut the ground truth" not in run_command(*command, f"output={tmp_path}/alpha")
    found = json.loads((tmp_path / "alpha" / "results.json").read_text())
    assert list(next(iter(found.values()))) == ALPHA
    said = run_command(*command, f"output={tmp_path}/both", "metrics.test=[sad,mae]")
    assert "data.soft=true, and mae cut the ground truth at > 128" in said


def config(**metrics: list[str]) -> DictConfig:
    from tests.test_configs import composed

    return composed("model=isnet", "data=am2k", *(f"metrics.{k}={v}" for k, v in metrics.items()))


def test_the_models_own_metrics_give_way_and_what_was_asked_for_stays() -> None:
    cfg = parse_training(config())
    assert list(cfg.metrics.test) == list(cfg.model.test_metrics) == ALPHA
    assert list(cfg.metrics.val) == ["mad", "alpha_mse"]
    assert cfg.model.monitor == cfg.callbacks.best.monitor == "val/mad"
    assert cfg.callbacks.early_stopping.monitor == "val/mad"
    assert parse_training(cfg) == cfg
    asked = parse_training(config(test=["mae", "sad"], val=["max_f_dis_255"]))
    assert list(asked.metrics.test) == ["mae", "sad"]
    assert asked.model.monitor == asked.callbacks.best.monitor == "val/max_f_dis_255"


def test_a_gray_prediction_of_a_gray_matte_is_no_error(mattes: Path) -> None:
    alpha = cv2.imread(str(mattes / "masks" / "cloud3.png"), cv2.IMREAD_GRAYSCALE)
    assert alpha is not None
    assert score_image(np.asarray(alpha), np.asarray(alpha), ALPHA) == dict.fromkeys(ALPHA, 0.0)
