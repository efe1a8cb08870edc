"""The image of what training sees shows images, outlines, clicks and void where they are."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from src.datamodules.clicks import InsideOutsidePoints
from src.datamodules.instances import InstanceDataModule, flip_rotate_scale
from src.datamodules.preview import draw_sample, preview, training_samples
from src.errors import UserError
from src.processing import Processor
from tests.conftest import RunCommand
from tests.datamodules.miniatures import write_set
from tests.datamodules.test_image_mask_folder import own
from tests.datamodules.test_instances import Discs


def discs() -> InstanceDataModule:
    return InstanceDataModule(
        "root",
        lambda root: Discs(),
        None,
        None,
        Processor(64, scale="none"),
        InsideOutsidePoints(),
        flip_rotate_scale(),
        batch_size=2,
        num_workers=0,
        drop_last=False,
    )


def test_mask_clicks_and_void_are_drawn_in_their_places() -> None:
    square = torch.zeros(1, 100, 100, dtype=torch.uint8)
    square[:, 30:60, 30:60] = 255
    void = torch.zeros_like(square)
    void[:, 80:90, 80:90] = 255
    prompt = torch.zeros(2, 100, 100)
    prompt[0, 40:44, 40:44] = prompt[1, 10:14, 10:14] = 255
    sample = {
        "name": "square",
        "image": torch.full((3, 100, 100), 120, dtype=torch.uint8),
        "mask": square,
        "void": void,
        "prompt": prompt,
    }
    drawn = draw_sample(sample, tile=100)[2:102, 2:102].astype(int)
    assert (drawn[30, 45] == (255, 0, 170)).all()
    assert (drawn[50, 50] == 120).all()
    assert drawn[42, 42].tolist() == [0, 255, 90]
    assert drawn[12, 12].tolist() == [255, 70, 0]
    assert drawn[85, 85, 2] > drawn[85, 85, 0] + 100


def test_objects_and_images_are_drawn(tmp_path: Path) -> None:
    write_set(tmp_path / "images", tmp_path / "masks", 6)
    data = own(tmp_path, val_fraction=0, drop_last=False)
    assert preview(data, count=6, epoch=0, tile=60).shape == (2 * 84, 4 * 64, 3)
    sheet = preview(discs(), count=9, epoch=0, tile=60)
    assert sheet.shape == (84, 3 * 64, 3)  # a set of three has no more to show
    assert (sheet == (255, 0, 170)).all(axis=2).sum() > 50


def test_the_samples_are_those_of_training() -> None:
    data = discs()
    data.setup("fit")
    loader = data.train_dataloader()
    loader.order.set_epoch(2)
    expected = [batch["image"] for batch in loader]
    shown = [sample["image"] for sample in training_samples(discs(), count=3, epoch=2)]
    assert torch.equal(torch.stack(shown), torch.cat(expected))
    others = [sample["image"] for sample in training_samples(discs(), count=3, epoch=3)]
    assert not torch.equal(torch.stack(shown), torch.stack(others))


def test_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="count is 0"):
        preview(discs(), count=0, epoch=0, tile=60)


def test_command(tmp_path: Path, run_command: RunCommand) -> None:
    write_set(tmp_path / "images", tmp_path / "masks", 8)
    command = ["-m", "src", "preview", "data=folder", "model=isnet"]
    folders = ["data.train.images=images", "data.train.masks=masks", f"data.root={tmp_path}"]
    options = ["model.size=64", "count=4", f"data.cache_dir={tmp_path}/cache"]
    image = tmp_path / "out" / "sheet.png"
    assert str(image) in run_command(*command, *folders, *options, f"output={image}")
    sheet = cv2.imread(str(image))
    assert sheet.shape == (344, 4 * 324, 3)
    assert np.std(sheet) > 20
