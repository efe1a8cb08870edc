"""Every released layout trains: a step, a validation and a test on its miniature, for real."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from lightning import Trainer
from omegaconf import DictConfig

from src.lit_modules.segmentation import SegmentationModule
from src.losses.terms import BinaryCrossEntropy, DeepSupervision
from src.weights.loading import create
from tests.datamodules.miniatures import write_set
from tests.datamodules.object_layouts import DATA, write_sets
from tests.datamodules.test_coco_instances import write_coco
from tests.datamodules.test_image_mask_folder import MIXES, config, with_miniatures
from tests.datamodules.test_pascal_sbd import write_pascal

# What execute.py leaves out as well: Lightning's remarks on our choice of hooks and on sets
# without validation.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*You have overridden `on_after_batch_transfer`"),
    pytest.mark.filterwarnings("ignore:.*Total length of `list`"),
]
TRAINED = ["pascal_sbd", "coco_instances", "objects", "synthetic_objects"]


def trainer(folder: Path) -> Trainer:
    return Trainer(
        accelerator="cpu",
        max_steps=1,
        limit_val_batches=1,
        limit_test_batches=1,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )


def fit_and_test(module: SegmentationModule, data: Any, folder: Path) -> None:
    """A step where there is something to train on, and the first image of the first test set."""
    run = trainer(folder)
    if getattr(data, "train", None):
        run.fit(module, data)
        assert torch.isfinite(run.callback_metrics["train/loss"])
    run.test(module, data, verbose=False)
    assert set(module.test_scores) == set(data.test_names)
    assert 0 <= run.callback_metrics[f"test/{data.test_names[0]}/{module.test_metrics[0]}"] <= 1


@pytest.mark.parametrize("name", MIXES)
def test_images_train_validate_and_test(name: str, tmp_path: Path) -> None:
    data = with_miniatures(config(f"data={name}", "model.batch_size=2"), tmp_path, spelling=0)
    module = SegmentationModule(
        create("u2netp"),
        data.processor,
        ["image"],
        {"side_outputs": DeepSupervision(BinaryCrossEntropy(), [1] * 7)},
        torch.optim.Adam,
    )
    fit_and_test(module, data, tmp_path)


def objects_config(name: str, root: Path) -> DictConfig:
    return config(
        "model=dextr",
        f"data={name}",
        f"data.root={root}",
        "model.batch_size=2",
        "model.network.backbone=resnet18",
        "model.network.pretrained=false",
    )


def clicked_module(cfg: DictConfig) -> SegmentationModule:
    model = cfg.model
    return SegmentationModule(
        instantiate(model.network),
        instantiate(model.processor, _convert_="all"),
        list(model.inputs),
        {name: instantiate(term, _convert_="all") for name, term in model.losses.items()},
        torch.optim.Adam,
        test_metrics=["iou"],
    )


def write_objects(name: str, root: Path) -> None:
    if name == "pascal_sbd":
        write_pascal(root)
    elif name == "coco_instances":
        pytest.importorskip("pycocotools")
        write_coco(root, "train2017")
        write_coco(root, "val2017")
    elif name == "objects":
        write_set(root / "images", root / "instances", 12)


# pycocotools' compiled part does not know numpy 2's protocol yet; the arrays are right.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("name", TRAINED)
def test_objects_train_and_test(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # lists of objects are kept in ./cache
    write_objects(name, tmp_path)
    cfg = objects_config(name, tmp_path)
    fit_and_test(clicked_module(cfg), instantiate(cfg.data, _convert_="all"), tmp_path)


@pytest.mark.parametrize("name", DATA)
def test_released_sets_of_objects_train_and_test(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cfg = objects_config(name, tmp_path)
    write_sets(cfg, tmp_path)
    fit_and_test(clicked_module(cfg), instantiate(cfg.data, _convert_="all"), tmp_path)
