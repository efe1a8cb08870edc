"""Faces and what is kept around them."""

from pathlib import Path

import numpy as np
import pytest

from src.errors import UserError
from src.prediction.photo import Photo
from src.prediction.portrait import crop_to_face, face_box, surroundings


def face() -> np.ndarray:
    """skimage's test photo of an astronaut."""
    data = pytest.importorskip("skimage.data")
    return np.asarray(data.astronaut())


def test_a_face_is_found_and_kept_with_its_hair() -> None:
    image = face()
    box = face_box(image)
    assert box is not None
    x, y, width, height = box
    assert abs(x + width / 2 - 222) < 25  # where it is in that picture
    assert abs(y + height / 2 - 120) < 35
    cropped = crop_to_face(Photo(Path("a.png"), image, image, "PNG"))
    assert height < cropped.pixels.shape[0] < image.shape[0]
    assert cropped.colours.shape == cropped.pixels.shape


def test_no_face() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    with pytest.raises(UserError, match="wall"):
        crop_to_face(Photo(Path("wall.png"), image, image, "PNG"))


def test_surroundings_are_square_inside_and_clipped_at_borders() -> None:
    top, bottom, left, right = surroundings((400, 400, 100, 100), (1000, 1000))
    assert bottom - top == right - left
    assert top < 400
    assert bottom > 500
    assert surroundings((0, 0, 100, 100), (120, 110)) == (0, 120, 0, 110)
