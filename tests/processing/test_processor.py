"""A model's pre- and post-processing: what is promised to train, evaluate, predict and export."""

import json

import numpy as np
import pytest
import torch

from src.processing import Processor


def image(height: int = 30, width: int = 50) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_survives_json() -> None:
    processor = Processor(
        size=(32, 48), scale="per_image_max", restore_steps=("sigmoid", "min_max")
    )
    assert Processor(**json.loads(json.dumps(processor.to_dict()))) == processor


def test_one_side_means_a_square() -> None:
    assert Processor(size=320).size == (320, 320)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, -3, [1, 2, 3], "big", [320, 0.5]])
def test_bad_size_names_the_key(size: object) -> None:
    with pytest.raises(ValueError, match=r"model\.size"):
        Processor(size=size)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value"),
    [("image_kernel", "lanczos"), ("scale", "127"), ("restore_steps", ("sigmoid", "blur"))],
)
def test_unknown_choices_name_the_field(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        Processor(size=(8, 8), **{field: value})  # type: ignore[arg-type]


def test_normalises_as_isnet() -> None:
    processor = Processor(size=(8, 8), mean=(0.5, 0.5, 0.5), std=(1.0, 1.0, 1.0))
    values = processor.normalize(torch.full((1, 3, 8, 8), 255, dtype=torch.uint8))
    assert torch.equal(values, torch.full((1, 3, 8, 8), 0.5))


def test_divides_each_image_by_its_own_maximum() -> None:
    processor = Processor(size=(2, 2), scale="per_image_max", mean=(0, 0, 0), std=(1, 1, 1))
    batch = torch.zeros(3, 3, 2, 2, dtype=torch.uint8)
    batch[0, 0, 0, 0], batch[1, 0, 0, 0] = 100, 200
    peaks = processor.normalize(batch).amax(dim=(1, 2, 3))
    assert peaks.tolist() == [1, 1, 0]  # a black image stays black


@pytest.mark.parametrize(
    "steps",
    [
        ("sigmoid", "resize", "min_max"),
        ("sigmoid", "min_max", "resize_8bit"),
        ("sigmoid", "min_max", "resize_corners"),
        ("resize_corners", "sigmoid"),
    ],
)
def test_restores_to_the_original_size(steps: tuple[str, ...]) -> None:
    processor = Processor(size=(16, 16), restore_steps=steps)
    logits = torch.linspace(-4, 4, 256).view(16, 16)
    mask = processor.postprocess(logits, (33, 21))
    assert mask.shape == (33, 21)
    assert mask.dtype == torch.uint8
    if "min_max" in steps:
        assert (mask.min(), mask.max()) == (0, 255)


def test_a_constant_map_is_not_divided_by_zero() -> None:
    processor = Processor(size=(4, 4), restore_steps=("sigmoid", "min_max"))
    assert processor.postprocess(torch.zeros(4, 4), (4, 4)).unique().tolist() == [127]


def test_quantises_by_truncation_without_losing_exact_levels() -> None:
    processor = Processor(size=(16, 16), restore_steps=())
    levels = torch.arange(256).view(16, 16)
    assert torch.equal(processor.postprocess(levels / 255, (16, 16)), levels.to(torch.uint8))
    assert processor.postprocess((levels[:1] + 0.9) / 255, (1, 16)).tolist()[0] == list(range(16))


@pytest.mark.parametrize("kernel", ["opencv", "opencv_cubic", "pillow", "area", "nearest"])
def test_resizes_images_and_masks(kernel: str) -> None:
    processor = Processor(size=(12, 20), image_kernel=kernel, mask_kernel=kernel)  # type: ignore[arg-type]
    assert processor.resize_image(image()).shape == (12, 20, 3)
    assert processor.resize_mask(image()[..., 0]).shape == (12, 20)
