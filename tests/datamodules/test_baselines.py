"""The baselines do what they say, and do poorly on the drawn images."""

import numpy as np
import pytest
import torch

from src.callbacks.baselines import box_map, grabcut_map, mean_mask, otsu_map
from src.datamodules.synthetic import SyntheticDataset
from src.errors import UserError
from src.processing import Processor
from src.processing.crop import Box


@pytest.mark.parametrize(("object_level", "behind"), [(220, 40), (40, 220)])
def test_otsu_finds_a_plain_object_of_either_polarity(object_level, behind):
    image = np.full((60, 80, 3), behind, np.uint8)
    image[20:40, 30:60] = object_level
    expected = np.zeros((60, 80), np.uint8)
    expected[20:40, 30:60] = 255
    assert np.array_equal(otsu_map(image), expected)


def test_otsu_of_a_constant_image_is_constant():
    for level in (0, 127, 255):
        result = otsu_map(np.full((8, 8, 3), level, np.uint8))
        assert result.dtype == np.uint8
        assert (result == 0).all()


def test_mean_mask_averages_the_first_masks():
    samples = [{"mask": torch.full((1, 8, 8), value, dtype=torch.uint8)} for value in (0, 255, 255)]
    assert np.allclose(mean_mask(samples, (4, 6)), 2 / 3)  # type: ignore[arg-type]
    assert np.allclose(mean_mask(samples, (4, 6), count=2), 0.5)  # type: ignore[arg-type]
    assert mean_mask(samples, (4, 6), count=9).shape == (4, 6)  # type: ignore[arg-type]


def test_mean_mask_of_nothing_is_refused():
    with pytest.raises(UserError, match="no samples"):
        mean_mask([], (4, 4))  # type: ignore[arg-type]


def test_both_do_poorly_on_the_drawn_pictures():
    images = SyntheticDataset(40, "test", 0, Processor(size=96), evaluation=True)
    center = mean_mask(SyntheticDataset(40, "train", 0, Processor(size=96)), (96, 96))
    ious = {"otsu": [], "mean": []}
    for item in range(40):
        sample = images[item]
        target = sample["mask"][0].numpy() > 128
        guesses = {
            "otsu": otsu_map(sample["image"].numpy().transpose(1, 2, 0)) > 128,
            # Thresholded where it agrees best with this set's share of foreground.
            "mean": center > np.quantile(center, 1 - target.mean()),
        }
        for name, guess in guesses.items():
            ious[name].append((guess & target).sum() / (guess | target).sum())
    assert np.mean(ious["otsu"]) < 0.4
    assert np.mean(ious["mean"]) < 0.4


def test_grabcut_cuts_within_its_box_alone():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 60, (60, 80, 3), dtype=np.uint8)
    image[20:40, 30:60] += 150
    image[2:10, 2:10] += 150  # as bright, and outside
    found = grabcut_map(image, Box(26, 16, 64, 44))
    expected = np.zeros((60, 80), np.uint8)
    expected[20:40, 30:60] = 255
    assert (found != expected).mean() < 0.01
    assert not found[:16].any()


def test_grabcut_without_background_is_the_box():
    image = np.zeros((20, 30, 3), np.uint8)
    assert (grabcut_map(image, Box(0, 0, 29, 19)) == 255).all()


def test_a_filled_box():
    filled = box_map((6, 8), Box(1, 2, 3, 5))
    assert filled[2:6, 1:4].min() == 255
    assert filled.astype(int).sum() == 255 * 12
