"""A window read again: exact outside, without seams inside, and no say about what is an object."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from src.errors import UserError
from src.inference import Segmenter
from src.inference.window import area_to_read, feather_weights, join_window
from src.processing import Processor
from src.processing.crop import Box
from tests.inference.tiny import PROCESSOR, RedFinder, finder, red_on_blue

IMAGE, TARGET = red_on_blue(300, 400)
WINDOW = (30, 40, 229, 189)
PIXEL = (1.0, 1.0)


def inside(window: tuple[int, int, int, int]) -> np.ndarray:
    found = np.zeros(IMAGE.shape[:2], bool)
    found[Box(*window).slices] = True
    return found


@st.composite
def windows(draw: st.DrawFn) -> tuple[Box, tuple[int, int], tuple[int, int]]:
    height, width = draw(st.integers(2, 400)), draw(st.integers(2, 400))
    x0, y0 = draw(st.integers(0, width - 2)), draw(st.integers(0, height - 2))
    x1, y1 = draw(st.integers(x0 + 1, width - 1)), draw(st.integers(y0 + 1, height - 1))
    return (
        Box(x0, y0, x1, y1),
        (height, width),
        (draw(st.integers(8, 96)), draw(st.integers(8, 96))),
    )


@given(windows())
def test_what_is_read_holds_the_window_and_fills_the_network(
    given: tuple[Box, tuple[int, int], tuple[int, int]],
) -> None:
    window, size, network = given
    area = area_to_read(window, size, network)
    assert area.clipped(size) == area
    assert window.clipped(size) == Box(
        max(window.x_min, area.x_min),
        max(window.y_min, area.y_min),
        min(window.x_max, area.x_max),
        min(window.y_max, area.y_max),
    )
    for side, own, least in zip(area.size, size, network, strict=True):
        assert side >= min(own, least)


def test_a_large_window_is_read_as_it_is() -> None:
    window = Box(100, 100, 499, 399)
    assert area_to_read(window, (1000, 1000), (64, 64)) == window


@given(windows(), st.integers(0, 40))
def test_the_feather_joins_what_has_a_neighbor_only(
    given: tuple[Box, tuple[int, int], tuple[int, int]], feather: int
) -> None:
    window, size, _ = given
    weights = feather_weights(window, size, feather)
    assert weights.shape == window.size
    assert weights.min() >= 0
    assert weights.max() <= 1
    for edge, joins in (
        (weights[:, 0], window.x_min > 0),
        (weights[:, -1], window.x_max < size[1] - 1),
        (weights[0], window.y_min > 0),
        (weights[-1], window.y_max < size[0] - 1),
    ):
        if joins and feather:
            assert edge.max() == 0
    if window == Box(0, 0, size[1] - 1, size[0] - 1) or feather == 0:
        assert weights.min() == 1


def test_the_feather_rises_smoothly() -> None:
    row = feather_weights(Box(10, 10, 109, 109), (200, 200), 20)[50]
    assert np.all(np.diff(row[:21]) >= 0)
    assert np.abs(np.diff(row)).max() < 0.08
    assert np.all(row[20:-20] == 1)


def test_nothing_outside_of_a_window_changes_and_the_edge_gets_sharper() -> None:
    before = finder().mask(IMAGE)
    after = finder().sharpen(IMAGE, before, WINDOW)
    within = inside(WINDOW)
    assert np.array_equal(before[~within], after[~within])
    errors = [np.abs(m[within].astype(int) - TARGET[within]).mean() for m in (before, after)]
    assert errors[1] < 0.7 * errors[0]  # the feather's share is not sharpened
    assert before.dtype == after.dtype == np.uint8


def test_a_window_at_the_image_s_corner_has_no_feather_there() -> None:
    before = np.zeros((100, 100), np.uint8)
    joined = join_window(
        before, np.full((50, 50), 255, np.uint8), Box(0, 0, 49, 49), step=PIXEL, overrule=True
    )
    assert joined[0, 0] == 255
    assert joined[0, 49] == joined[49, 0] == 0


def test_what_the_second_reading_contradicts_stays_unless_it_may_overrule() -> None:
    """A part of a large object fills the window: there it is what the network takes for behind."""
    mask = np.full((200, 200), 255, np.uint8)
    nothing, window = np.zeros((100, 100), np.uint8), Box(50, 50, 149, 149)
    kept = join_window(mask, nothing, window, step=(5, 5))
    assert np.array_equal(kept, mask)
    taken = join_window(mask, nothing, window, step=(5, 5), overrule=True)
    assert taken[100, 100] == 0


def test_a_wire_that_the_first_reading_could_not_see_is_taken() -> None:
    mask = np.zeros((200, 200), np.uint8)
    reading, window = np.zeros((100, 100), np.uint8), Box(50, 50, 149, 149)
    reading[50:52] = 255  # two of ten pixels that were one
    joined = join_window(mask, reading, window, step=(10, 10))
    assert joined[100, 80:120].min() > 200
    assert joined[110, 80:120].max() == 0


class Faint(RedFinder):
    """Is never sure, so that `min_max` has something to stretch."""

    def forward(self, x: torch.Tensor):  # type: ignore[no-untyped-def]
        output = super().forward(x)
        output.masks[0] = output.masks[0] * 0.05
        return output


@pytest.mark.parametrize(
    "steps", [("sigmoid", "min_max", "resize"), ("sigmoid", "resize", "min_max")]
)
def test_a_window_is_stretched_as_its_image_is(steps: tuple[str, ...]) -> None:
    """Alone, the faint noise of a window without foreground would become foreground."""
    processor = Processor((64, 64), mean=(0.5,) * 3, std=(1.0,) * 3, restore_steps=steps)
    segmenter = Segmenter(Faint(), processor, device="cpu")
    image = IMAGE.copy()
    image[200:, 200:, 0] += np.arange(100, dtype=np.uint8)[:, None] // 8
    mask = segmenter.mask(image)
    after = segmenter.sharpen(image, mask, (220, 210, 379, 289), overrule=True)
    assert mask.max() == 255
    assert after[210:290, 220:380].max() < 40
    levels = segmenter.levels(image)
    assert levels is not None
    assert 0 < levels[0] < levels[1] < 1
    assert np.array_equal(
        after, segmenter.sharpen(image, mask, (220, 210, 379, 289), overrule=True, levels=levels)
    )
    assert finder().levels(image) is None


@pytest.mark.parametrize("detail", ["tiles", "window"])
def test_a_dark_part_of_a_bright_image_stays_dark(detail: str) -> None:
    """U²-Net divides by the image's maximum, of which a part knows nothing."""
    processor = Processor((64, 64), scale="per_image_max", mean=(0.2, 0, 0), std=(0.1,) * 3)
    segmenter = Segmenter(RedFinder(), processor, device="cpu")
    image = np.zeros((200, 300, 3), np.uint8)
    image[..., 0] = 20  # a faint red, which alone would be the brightest there is
    image[:30, :30] = 255
    whole = segmenter.mask(image)
    if detail == "tiles":
        other = segmenter.mask(image, detail="tiles")
    else:
        other = segmenter.sharpen(image, whole, (100, 80, 299, 199), overrule=True)
    assert whole[150, 250] < 20
    assert other[150, 250] < 20


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ((10, 10, 10, 50), "the window .* has no area"),
        ((50, 10, 10, 50), "the window .* has no area"),
        ((400, 10, 500, 50), "has no pixel in an image of 400 × 300"),
        ((-50, 10, -10, 50), "has no pixel"),
        ((10, 10, float("nan"), 50), "four finite numbers"),
        ((10, 10, 50), "four finite numbers"),
    ],
)
def test_windows_that_cannot_be_meant(window: tuple[float, ...], words: str) -> None:
    with pytest.raises(UserError, match=words):
        finder().sharpen(IMAGE, TARGET, window)


def test_a_mask_of_another_image_is_refused() -> None:
    with pytest.raises(UserError, match=r"uint8 array \(300, 400\)"):
        finder().sharpen(IMAGE, TARGET[1:], WINDOW)
    with pytest.raises(UserError, match="feather is -1"):
        finder().sharpen(IMAGE, TARGET, WINDOW, feather=-1)
    with pytest.raises(UserError, match="image and prompt"):
        finder(inputs=("image", "prompt")).sharpen(IMAGE, TARGET, WINDOW)


def test_a_window_that_leaves_the_image_is_cut_off() -> None:
    mask = finder().mask(IMAGE)
    cut = finder().sharpen(IMAGE, mask, (0, 0, 229, 189))
    assert np.array_equal(finder().sharpen(IMAGE, mask, (-90, -90, 229, 189)), cut)
    assert PROCESSOR.size == (64, 64)
