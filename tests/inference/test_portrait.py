"""Faces and what is kept around them."""

from pathlib import Path

import numpy as np
import pytest

from src.errors import UserError
from src.inference.image_file import ImageFile
from src.inference.portrait import crop_to_face, face_box, surroundings


def face() -> np.ndarray:
    """skimage's test photo of an astronaut."""
    data = pytest.importorskip("skimage.data")
    return np.asarray(data.astronaut())


def test_a_face_is_found_and_kept_with_its_hair() -> None:
    image = face()
    box = face_box(image)
    assert box is not None
    x, y, width, height = box
    assert abs(x + width / 2 - 222) < 25  # where it is in that image
    assert abs(y + height / 2 - 120) < 35
    cropped = crop_to_face(ImageFile(Path("a.png"), image, image, "PNG"))
    assert height < cropped.pixels.shape[0] < image.shape[0]
    assert cropped.colors.shape == cropped.pixels.shape


def test_no_face() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    with pytest.raises(UserError, match="wall"):
        crop_to_face(ImageFile(Path("wall.png"), image, image, "PNG"))


def test_surroundings_move_inside_where_there_is_room() -> None:
    top, left, side = surroundings((400, 400, 100, 100), (1000, 1000))
    assert top < 400 < 500 < top + side
    assert left < 400 < 500 < left + side
    assert surroundings((0, 0, 100, 100), (1000, 1000)) == (0, 0, side)
    assert surroundings((900, 900, 100, 100), (1000, 1000)) == (1000 - side, 1000 - side, side)


def test_a_narrow_photo_is_made_square_with_white() -> None:
    """A square input would else show the network a stretched face."""
    image = face()[:, 140:300]
    deep = image.astype(np.uint16) * 257
    cropped = crop_to_face(ImageFile(Path("a.png"), image, deep, "PNG"))
    side = cropped.pixels.shape[0]
    assert cropped.pixels.shape == cropped.colors.shape == (side, side, 3)
    border = (side - image.shape[1]) // 2
    assert border > 0
    assert (cropped.pixels[:, :border] == 255).all()
    assert (cropped.colors[:, -border:] == 65535).all()
    middle = slice(border, -border)
    assert np.array_equal(cropped.pixels[:, middle] * np.uint16(257), cropped.colors[:, middle])
