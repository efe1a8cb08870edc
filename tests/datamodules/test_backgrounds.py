"""New backgrounds: the foreground stays, nothing of the old background does, and seeds decide."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from omegaconf import OmegaConf

from src.datamodules.augmentation import isnet
from src.datamodules.backgrounds import NewBackgrounds, background_images
from src.datamodules.base import build_data
from src.datamodules.pairs import DataError
from src.errors import CommandError, UserError
from tests.datamodules.miniatures import image_file


def sample(color: tuple[int, int, int] = (210, 120, 30)) -> dict[str, np.ndarray]:
    """A soft disc of one color before blue noise."""
    y, x = np.mgrid[:64, :80]
    alpha = np.clip((20 - np.hypot(y - 32, x - 40)) / 4, 0, 1)[..., None]
    noise = np.random.default_rng(0).integers(0, 60, (64, 80, 3)) + np.array([0, 0, 180])
    image = alpha * np.array(color) + (1 - alpha) * noise
    return {
        "image": np.rint(image).astype(np.uint8),
        "mask": np.rint(255 * alpha[..., 0]).astype(np.uint8),
    }


def test_the_foreground_stays_and_the_background_is_one_color() -> None:
    given = sample()
    made = NewBackgrounds(None, share=1)(given, (0, 0, 0))
    inside, outside = given["mask"] == 255, given["mask"] == 0
    assert np.abs(made["image"][inside].astype(int) - given["image"][inside]).max() <= 1
    assert len(np.unique(made["image"][outside], axis=0)) == 1
    np.testing.assert_array_equal(made["mask"], given["mask"])


def test_soft_edges_carry_nothing_of_the_old_background() -> None:
    given, color = sample(), np.array([210, 120, 30])
    made = NewBackgrounds(None, share=1)(given, (0, 0, 5))
    background = made["image"][0, 0].astype(float)
    alpha = given["mask"][..., None] / 255
    edge = (given["mask"] > 25) & (given["mask"] < 230)
    ideal = alpha * color + (1 - alpha) * background
    halo = np.abs(given["image"] - (alpha * color))[edge].mean()
    assert np.abs(made["image"] - ideal)[edge].mean() < 0.1 * halo


def test_colors_are_gray_near_the_objects_or_any() -> None:
    given = sample()
    pipeline = NewBackgrounds(None, share=1)
    colors = [pipeline(given, (0, 0, item))["image"][0, 0].astype(int) for item in range(200)]
    gray = [color for color in colors if len(set(color)) == 1]
    near = [color for color in colors if np.abs(color - (210, 120, 30)).max() <= 70]
    assert 55 < len(gray) < 105
    assert 60 < len(near) < 110
    assert len(colors) - len(gray) - len(near) > 15


def test_a_share_of_the_samples_is_replaced_and_the_rest_augmented_as_ever() -> None:
    given, pipeline = sample(), NewBackgrounds(isnet(), share=0.5)
    kept = 0
    for item in range(40):
        plain = isnet()(given, (0, 0, item))
        made = pipeline(given, (0, 0, item))
        np.testing.assert_array_equal(made["mask"], plain["mask"])
        kept += np.array_equal(made["image"], plain["image"])
        again = NewBackgrounds(isnet(), share=0.5)(given, (0, 0, item))
        np.testing.assert_array_equal(made["image"], again["image"])
    assert 8 < kept < 32


def test_void_and_points_go_along() -> None:
    given = sample() | {"void": np.zeros((64, 80), np.uint8), "points": np.array([[40.0, 32.0]])}
    made = NewBackgrounds(None, share=1)(given, (0, 0, 0))
    assert made["points"].tolist() == [[40, 32]]
    assert not made["void"].any()


def test_nothing_in_front_stays_as_it_is() -> None:
    given = sample() | {"mask": np.zeros((64, 80), np.uint8)}
    made = NewBackgrounds(None, share=1)(given, (0, 0, 0))
    np.testing.assert_array_equal(made["image"], given["image"])


def test_images_of_a_folder_cover_the_sample(tmp_path: Path) -> None:
    for i, size in enumerate(((20, 90), (200, 30), (64, 80))):
        cv2.imwrite(str(tmp_path / f"{i}.png"), image_file(i, *size))
    pipeline = NewBackgrounds(None, 1, background_images(tmp_path))
    outside = sample()["mask"] == 0
    seen = [pipeline(sample(), (0, 0, item))["image"][outside] for item in range(12)]
    assert all(len(np.unique(one, axis=0)) > 20 for one in seen)
    assert len({one.tobytes() for one in seen}) > 3


def test_what_is_wrong_with_a_folder_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder"):
        background_images(tmp_path / "none")
    with pytest.raises(UserError, match="holds no images"):
        background_images(tmp_path)
    for name in ("a.png", "b.jpg"):
        (tmp_path / name).write_bytes(b"no image")
    with pytest.raises(DataError, match=r"2 problems(.|\n)*a\.png(.|\n)*b\.jpg"):
        background_images(tmp_path)


def config(**data: Any) -> Any:
    target = "src.datamodules.synthetic.dataset.SyntheticDataModule"
    processor = {"_target_": "src.processing.Processor", "size": 32}
    node = {"_target_": target, "processor": processor, "size": 48, "batch_size": 2, **data}
    return OmegaConf.create({"data": node | {"num_workers": 0}})


def test_any_data_with_augmentation_takes_them(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "sea.png"), image_file(0))
    cfg = config(augment=None)
    cfg.backgrounds = {"share": 1.0, "images": str(tmp_path)}
    cfg.multiscale = [64]
    data = build_data(cfg)
    assert list(data.backgrounds) == ["sea.png"]
    assert next(iter(data.train_dataloader()))["image"].shape == (2, 3, 64, 64)
    cfg.backgrounds.images = str(tmp_path / "none")
    with pytest.raises(UserError, match="no folder"):
        build_data(cfg)


def test_data_without_augmentation_says_so() -> None:
    cfg = config()
    cfg.backgrounds = {"share": 0.5, "images": None}
    with pytest.raises(CommandError, match="not augmented"):
        build_data(cfg)
    cfg.backgrounds.share = 0.0
    assert build_data(cfg).backgrounds == {}
