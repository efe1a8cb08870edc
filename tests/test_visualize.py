"""One color code for errors, outlines that leave images alone, and tiles in their order."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from src.datamodules.check import contact_sheet
from src.datamodules.pair_inspection import PairInspection, inspect
from src.datamodules.pairs import ImageMaskPair
from src.datamodules.sources import FolderPair
from src.visualize import (
    AGREED,
    EXTRA,
    MISSED,
    error_map,
    framed,
    grid,
    mask_tile,
    side_by_side,
    stack_rows,
    with_outline,
)
from tests.datamodules.miniatures import write_pair

TILE = 192


def color(value: int) -> np.ndarray:
    return np.full((4, 6, 3), value, np.uint8)


@pytest.mark.parametrize(
    ("count", "columns", "shape"),
    [(1, 8, (4, 6, 3)), (3, 8, (4, 18, 3)), (8, 8, (4, 48, 3)), (9, 8, (8, 48, 3))],
)
def test_tiles_fill_rows(count: int, columns: int, shape: tuple[int, ...]) -> None:
    assert grid([color(9)] * count, columns).shape == shape


def test_tiles_stand_in_their_order_and_the_rest_is_white() -> None:
    sheet = grid([color(value) for value in (10, 20, 30)], 2)
    assert [int(sheet[y, x, 0]) for y in (0, 4) for x in (0, 6)] == [10, 20, 30, 255]


def test_an_outline_runs_along_the_mask_and_leaves_the_image_alone() -> None:
    image, mask = np.full((20, 20, 3), 90, np.uint8), np.zeros((20, 20), np.uint8)
    mask[5:15, 5:15] = 128
    mask[0, 0] = 127  # below the threshold of every metric
    drawn = with_outline(image, mask)
    assert (image == 90).all()
    changed = (drawn != 90).any(axis=2)
    assert changed[5, 5:15].all()
    assert changed[14, 5:15].all()
    assert not changed[7:13, 7:13].any()
    assert not changed[0, 0]


def test_an_empty_mask_has_no_outline() -> None:
    image = np.full((5, 5, 3), 90, np.uint8)
    assert np.array_equal(with_outline(image, np.zeros((5, 5), np.uint8)), image)


def test_a_frame_is_white_around_the_picture() -> None:
    tile = framed(color(9), side=10)
    assert tile.shape == (14, 14, 3)
    assert (tile[2:6, 2:8] == 9).all()
    assert (tile == 9).sum() == color(9).size


@pytest.mark.parametrize("size", [(400, 300), (10, 900), (900, 10), (188, 188)])
def test_a_tile_is_a_square_whatever_the_form(size: tuple[int, int]) -> None:
    mask = np.zeros(size, np.uint8)
    mask[: size[0] // 2] = 255
    tile = mask_tile(np.full((*size, 3), 100, np.uint8), mask, 188)
    assert tile.shape == (TILE, TILE, 3)
    height = round(188 * size[0] / max(size))
    above, below = tile[2 + height // 4, 2].astype(int), tile[2 + height * 7 // 8, 2].astype(int)
    assert above[0] > above[1]  # tinted where the mask is
    assert len(set(below)) == 1


def test_the_image_may_be_smaller_than_its_mask() -> None:
    """Images are read at a reduced size, masks whole."""
    mask = np.full((600, 400), 255, np.uint8)
    assert mask_tile(np.zeros((190, 127, 3), np.uint8), mask, 188).shape == (TILE, TILE, 3)


def test_smallest_middle_and_largest_foregrounds_are_shown(tmp_path: Path) -> None:
    facts = []
    for i, share in enumerate((0.5, 0.1, 0.9)):
        image, mask_path = (tmp_path / place for place in (f"images/{i}.jpg", f"masks/{i}.png"))
        pair = ImageMaskPair(str(i), image, mask_path)
        write_pair(image.parent, mask_path.parent, str(i), i)
        mask = np.zeros((36 + i, 48 + i), np.uint8)
        mask[:, : round(share * mask.shape[1])] = 255
        cv2.imwrite(str(pair.mask), mask)
        facts.append(inspect(pair))
    pairs = PairInspection("train", "train", None, FolderPair("images", "masks"))
    sheet = contact_sheet(pairs, facts)
    assert sheet.shape == (TILE, 3 * TILE, 3)
    outline = (sheet == (255, 0, 170)).all(axis=2)
    edges = [int(np.flatnonzero(outline[80, i * TILE : (i + 1) * TILE]).max()) for i in range(3)]
    assert edges == sorted(edges)
    assert contact_sheet(pairs, facts * 20).shape == (4 * TILE, 8 * TILE, 3)
    assert contact_sheet(pairs, facts * 20, rows=1).shape == (TILE, 8 * TILE, 3)


def test_errors_have_their_colors() -> None:
    prediction = np.array([[255, 255, 0, 0]], np.uint8)
    target = np.array([[255, 0, 255, 0]], np.uint8)
    drawn = error_map(prediction, target)
    assert drawn.dtype == np.uint8
    assert [tuple(pixel) for pixel in drawn[0].tolist()] == [AGREED, EXTRA, MISSED, (0,) * 3]


def test_half_an_error_has_half_its_color() -> None:
    drawn = error_map(np.array([[0]], np.uint8), np.array([[128]], np.uint8))[0, 0]
    assert np.abs(drawn - np.array(MISSED) / 2).max() <= 1


def test_panels_of_any_size_stand_side_by_side_and_rows_under_one_another() -> None:
    row = side_by_side((color(9), np.full((2, 3), 70, np.uint8)), 8, 12)
    assert row.shape == (8, 24, 3)
    assert (row[:, :12] == 9).all()
    assert (row[:, 12:] == 70).all()
    stacked = stack_rows([row, row[:, :12]])
    assert stacked.shape == (2 * (8 + 6), 24, 3)
    assert (stacked[14:, 12:] == 90).all()
