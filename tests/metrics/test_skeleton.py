import cv2
import numpy as np
import pytest
from skimage.morphology import skeletonize as peer

from src.metrics.kernels.skeleton import skeletonize
from tests.golden_data import GOLDEN, needs_shared

from .maps import gray, random_mask


def test_every_neighbourhood_is_thinned_as_the_peer_does() -> None:
    for pattern in range(512):
        mask = np.array([pattern >> k & 1 for k in range(9)], bool).reshape(3, 3)
        np.testing.assert_array_equal(skeletonize(np.uint8(255) * mask), peer(mask))
        wide = np.pad(mask, ((2, 2), (62, 63)), mode="edge")
        np.testing.assert_array_equal(skeletonize(np.uint8(255) * wide), peer(wide))


def test_random_masks_are_thinned_as_the_peer_does() -> None:
    rng = np.random.default_rng(0)
    for _ in range(1500):
        height, width = rng.integers(1, 150, 2)
        mask = random_mask(rng, height, width)
        np.testing.assert_array_equal(skeletonize(gray(rng, mask)), peer(mask))


def test_a_solid_block_of_many_words_is_thinned_from_its_borders_inwards() -> None:
    mask = np.zeros((200, 700), np.uint8)
    cv2.ellipse(mask, (350, 100), (340, 95), 10, 0, 360, 255, -1)
    np.testing.assert_array_equal(skeletonize(mask), peer(mask > 128))


@needs_shared
@pytest.mark.parametrize("index", range(12))
def test_authors_skeletons(index: int) -> None:
    target = cv2.imread(str(GOLDEN / f"metrics/gt_{index:02d}.png"), cv2.IMREAD_GRAYSCALE)
    theirs = cv2.imread(str(GOLDEN / f"metrics/ske_{index:02d}.png"), cv2.IMREAD_GRAYSCALE)
    assert target is not None
    assert theirs is not None
    np.testing.assert_array_equal(skeletonize(target.astype(np.uint8)), theirs > 0)


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (np.zeros((4, 4), bool), TypeError, "target must be uint8"),
        (np.zeros((4, 4, 3), np.uint8), ValueError, r"target must be \(H, W\)"),
        (np.zeros((0, 4), np.uint8), ValueError, "at least one pixel"),
    ],
)
def test_bad_maps_are_refused(target: np.ndarray, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        skeletonize(target)
