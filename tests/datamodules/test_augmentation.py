"""Pipelines move everything together and depend on the seed alone."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from src.datamodules.augmentation import (
    Augmentation,
    Enhance,
    Pepper,
    ScaleCrop,
    birefnet,
    inspyrenet,
    isnet,
    u2net,
)
from tests.datamodules.miniatures import image_file

PIPELINES = {
    "isnet": isnet,
    "u2net": u2net,
    "inspyrenet": inspyrenet,
    "birefnet": birefnet,
}
NAMES = ("brightness", "contrast", "color", "sharpness")


def scene() -> dict[str, np.ndarray]:
    """An image whose red channel is its mask, with void, and a point at the disc's center."""
    mask = cv2.circle(np.zeros((64, 48), np.uint8), (20, 30), 9, 255, -1)
    void = cv2.circle(np.zeros((64, 48), np.uint8), (20, 30), 9, 255, 2)
    image = image_file(3, 64, 48)
    image[..., 0] = mask
    return {"image": image, "mask": mask, "void": void, "points": np.array([[20.0, 30.0]])}


@pytest.mark.parametrize("name", PIPELINES)
def test_seed_decides_and_nothing_else(name: str) -> None:
    pipeline, sample = PIPELINES[name](), scene()
    first = [pipeline(sample, (0, 1, item)) for item in range(6)]
    backwards = [PIPELINES[name]()(sample, (0, 1, item)) for item in reversed(range(6))][::-1]
    for one, other in zip(first, backwards, strict=True):
        for key in sample:
            np.testing.assert_array_equal(one[key], other[key])
    assert any(not np.array_equal(first[0]["image"], other["image"]) for other in first[1:])
    np.testing.assert_array_equal(sample["image"], scene()["image"], "the input is not changed")


@pytest.mark.parametrize("name", PIPELINES)
def test_everything_moves_together(name: str) -> None:
    pipeline, sample = PIPELINES[name](), scene()
    for item in range(20):
        moved = pipeline(sample, (0, 0, item))
        red, mask = moved["image"][..., 0].astype(int), moved["mask"].astype(int)
        if name != "birefnet":
            assert np.abs(red - mask).mean() < 6, "enhancement changes red a little"
        assert moved["void"].shape == moved["mask"].shape == moved["image"].shape[:2]
        x, y = moved["points"][0]
        inside = np.argwhere(mask > 127)
        if len(inside) > 240:  # the disc is whole, so its center is the point
            np.testing.assert_allclose([y, x], inside.mean(axis=0), atol=1.0)


def test_flips_of_u2net_are_independent() -> None:
    # albumentations' own seeding makes them coincide.
    pipeline, sample = u2net(fraction=1), scene()
    sample = {key: sample[key][:48] for key in ("image", "mask")}
    seen = set()
    for item in range(40):
        moved = pipeline(sample, (0, 0, item))["mask"]
        for flip, code in (("", None), ("h", 1), ("v", 0), ("hv", -1)):
            flipped = sample["mask"] if code is None else cv2.flip(sample["mask"], code)
            if np.array_equal(moved, flipped):
                seen.add(flip)
    assert seen == {"", "h", "v", "hv"}


@pytest.mark.parametrize(("size", "crop"), [((320, 320), (288, 288)), ((160, 96), (144, 86))])
def test_u2net_crops(size: tuple[int, int], crop: tuple[int, int]) -> None:
    sample = {"image": image_file(1, *size), "mask": np.zeros(size, np.uint8)}
    moved = u2net()(sample, (0, 0, 0))
    assert moved["image"].shape == (*crop, 3)
    assert moved["mask"].shape == crop
    assert "points" not in moved


@pytest.mark.parametrize(("factor", "share"), [(0.75, 0.5625), (1.25, 1.0)])
def test_scale_crop_keeps_the_size(factor: float, share: float) -> None:
    sample = {
        "image": np.full((80, 60, 3), 200, np.uint8),
        "mask": np.full((80, 60), 255, np.uint8),
    }
    pipeline = Augmentation([ScaleCrop(factor, factor, p=1)])
    for item in range(5):
        moved = pipeline(sample, (0, 0, item))
        assert moved["mask"].shape == (80, 60)
        assert (moved["mask"] > 127).mean() == pytest.approx(share, abs=0.03)


def test_enhance_only_brightens_within_its_range() -> None:
    sample = {"image": image_file(4, 64, 64), "mask": np.zeros((64, 64), np.uint8)}
    moved = Augmentation([Enhance({"contrast": (1, 1.1), "brightness": (1, 1.1)}, shuffled=True)])(
        sample, (0, 0, 0)
    )
    ratio = moved["image"].mean() / sample["image"].mean()
    assert 0.99 <= ratio <= 1.11, "contrast alone keeps the mean, within rounding"
    flat = Augmentation([Enhance(dict.fromkeys(NAMES, (1, 1)))])(sample, (0, 0, 0))
    np.testing.assert_array_equal(flat["image"], sample["image"])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("factor", [0.0, 0.7, 1.6])
def test_enhancement_is_that_of_pillow(name: str, factor: float) -> None:
    image = scene()["image"]
    ours = Augmentation([Enhance({name: (factor, factor)}, tenths=True)])(
        {"image": image}, (0, 0, 0)
    )
    theirs = getattr(ImageEnhance, name.capitalize())(Image.fromarray(image)).enhance(factor)
    inner = np.s_[1:-1, 1:-1]  # the border is smoothed in another way
    gap = np.abs(ours["image"][inner].astype(int) - np.asarray(theirs)[inner].astype(int))
    assert gap.max() <= 2, "rounding"


def test_pepper_is_black_or_white_and_leaves_the_mask() -> None:
    sample = {"image": np.full((100, 100, 3), 90, np.uint8), "mask": np.zeros((100, 100), np.uint8)}
    moved = Augmentation([Pepper(share=0.01)])(sample, (0, 0, 0))
    changed = moved["image"][(moved["image"] != 90).any(axis=-1)]
    assert 90 <= len(changed) <= 100
    assert {tuple(pixel) for pixel in changed.tolist()} == {(0, 0, 0), (255, 255, 255)}
    assert not moved["mask"].any()
