"""The images of a comparison: a folder's, or drawings that are always the same."""

from pathlib import Path

import numpy as np
import pytest

from src.engines.parity import drawing
from src.errors import UserError
from src.export.parity import images
from tests.inference.tiny import red_on_blue, save_picture


def test_drawings_are_the_same_every_time_and_differ_from_each_other() -> None:
    first, second = images(None), images(None)
    assert [image.shape for image in first.values()] == [
        (480, 640, 3),
        (333, 217, 3),
        (768, 1024, 3),
    ]
    assert list(first) == ["drawing 480×640", "drawing 333×217", "drawing 768×1024"]
    for name, image in first.items():
        assert image.dtype == np.uint8
        assert np.array_equal(image, second[name])
    assert not np.array_equal(drawing(40, 50, 1), drawing(40, 50, 2))


@pytest.mark.parametrize("seed", range(3))
def test_a_drawing_shows_something(seed: int) -> None:
    assert drawing(64, 48, seed).std() > 20


def test_a_folders_pictures_by_name_up_to_a_count(tmp_path: Path) -> None:
    for name in ("b.png", "a.png", "sub/c.png", "d.png"):
        save_picture(tmp_path / name, 20, 30)
    (tmp_path / "0.mp4").write_bytes(b"a video")
    found = images(tmp_path, count=3)
    assert list(found) == ["a.png", "b.png", "d.png"]
    assert np.array_equal(found["a.png"], red_on_blue(20, 30)[0])


def test_pictures_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    for name in ("one/a.png", "two/a.png"):
        save_picture(tmp_path / name, 20, 30)
    assert list(images(tmp_path)) == ["one/a.png", "two/a.png"]


def test_a_single_picture(tmp_path: Path) -> None:
    assert list(images(save_picture(tmp_path / "a.png"))) == ["a.png"]


def test_a_folder_without_a_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no image or video there"):
        images(tmp_path)
    (tmp_path / "0.mp4").write_bytes(b"a video")
    with pytest.raises(UserError, match=f"images={tmp_path} has no image"):
        images(tmp_path)
