"""The scenes: every structure draws, one scene at all sizes, hard for what does not learn."""

import cv2
import numpy as np
import pytest
from skimage.morphology import skeletonize

from src.datamodules.synthetic.backgrounds import BACKDROPS, background, palette
from src.datamodules.synthetic.canvas import Canvas, Placement
from src.datamodules.synthetic.compose import STRUCTURES, compose


def scene(item: int, side: int = 128):
    return compose(np.random.default_rng(item), side)


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda structure: structure.__name__)
def test_each_structure_is_large_thin_and_documented_by_its_mask(structure):
    masks = []
    for seed in range(4):
        pen = Canvas((256, 256), Placement(reach=0.45))
        structure(pen, np.random.default_rng(seed))
        masks.append(pen.coverage())
    for mask in masks:
        assert mask.dtype == np.uint8
        assert mask.max() == 255
        rows, columns = np.nonzero(mask)
        assert max(np.ptp(rows), np.ptp(columns)) > 0.6 * 0.9 * 256
        assert 0.02 < (mask > 128).mean() < 0.6
    assert len({mask.tobytes() for mask in masks}) == 4


def test_the_same_stream_gives_the_same_picture():
    first, second = scene(3), scene(3)
    assert first.kind == second.kind
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.mask, second.mask)


@pytest.mark.parametrize("item", range(6))
def test_a_larger_picture_shows_the_same_scene(item):
    small, large = scene(item, 160), scene(item, 640)
    assert small.kind == large.kind
    size = small.mask.shape[::-1]
    mask = cv2.resize(large.mask, size, interpolation=cv2.INTER_AREA)
    image = cv2.resize(large.image, size, interpolation=cv2.INTER_AREA)
    # Strokes may be relatively wider in the small one, up to the pixel's grid.
    assert np.abs(mask.astype(float) - small.mask).mean() < 0.05 * 255
    overlap = np.minimum(mask, small.mask).sum() / np.maximum(mask, small.mask).sum()
    assert overlap > 0.6
    blurred = [cv2.GaussianBlur(one, (0, 0), 4).astype(float) for one in (image, small.image)]
    assert np.abs(blurred[0] - blurred[1]).mean() < 8


def test_masks_are_anti_aliased_and_foreground_is_central():
    masks = [scene(item).mask for item in range(40)]
    shares = np.array([(mask > 128).mean() for mask in masks])
    soft = np.array([((mask > 0) & (mask < 255)).mean() for mask in masks])
    assert 0.08 < shares.mean() < 0.3
    assert shares.min() > 0.01
    assert soft.min() > 0.005
    center = np.array([np.mean(np.nonzero(mask > 128), axis=1) / mask.shape for mask in masks])
    assert np.abs(center - 0.5).max() < 0.25


def test_structures_are_thin():
    """Half the foreground's width, on its skeleton, is a small part of the image's side."""
    widths = []
    for item in range(20):
        solid = scene(item, 256).mask > 128
        distance = cv2.distanceTransform(solid.astype(np.uint8), cv2.DIST_L2, 5)
        widths.append(2 * np.median(distance[skeletonize(solid)]) / 256)
    assert np.median(widths) < 0.03


def test_the_object_differs_from_what_is_right_beside_it():
    contrasts = []
    for item in range(40):
        image, mask, _ = scene(item, 256)
        solid = (mask > 250).astype(np.uint8)
        near = cv2.dilate(solid, np.ones((15, 15), np.uint8)).astype(bool) & (mask == 0)
        gap = image[solid.astype(bool)].mean(axis=0) - image[near].mean(axis=0)
        contrasts.append(np.linalg.norm(gap))
    # Never invisible, and never so plain that a threshold on the whole image would do.
    assert np.min(contrasts) > 8
    assert np.median(contrasts) < 110


@pytest.mark.parametrize("number", range(len(BACKDROPS)))
def test_each_background_fills_the_picture_and_varies(number):
    rng = np.random.default_rng(number)
    image = BACKDROPS[number](rng, (90, 130), palette(rng, 4))
    assert image.shape == (90, 130, 3)
    assert image.dtype == np.uint8
    assert image.std() > 5


def test_backgrounds_come_in_all_kinds():
    rng = np.random.default_rng(0)
    images = {background(rng, (40, 40), palette(rng, 4)).tobytes() for _ in range(20)}
    assert len(images) == 20
