"""What is made of a photo and its mask."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.datamodules.raster import raster
from src.errors import UserError
from src.inference.image_file import ImageFile, write_image_file
from src.inference.outputs import Cutout, parse_outputs
from tests.inference.tiny import red_on_blue, save_picture


def made(word: str, dtype: type = np.uint8, **options: float) -> np.ndarray:
    image, mask = red_on_blue()
    colors = image if dtype is np.uint8 else image.astype(np.uint16) * 257
    (output,) = parse_outputs(word, **options)
    return output.render(Cutout(colors, mask))


IMAGE, MASK = red_on_blue()
INSIDE, OUTSIDE = MASK == 255, MASK == 0


def test_mask_is_the_mask() -> None:
    assert np.array_equal(made("mask"), MASK)


@pytest.mark.parametrize(
    ("word", "color"),
    [
        ("white", (255, 255, 255)),
        ("black", (0, 0, 0)),
        ("green", (0, 177, 64)),
        ("#ff8800", (255, 136, 0)),
    ],
)
def test_a_colour_replaces_the_background(word: str, color: tuple[int, int, int]) -> None:
    image = made(word)
    assert (image[OUTSIDE] == color).all()
    assert np.array_equal(image[INSIDE], IMAGE[INSIDE])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rgba_keeps_depth_and_colours(dtype: type) -> None:
    image = made("rgba", dtype)
    most = np.iinfo(dtype).max
    assert image.dtype == dtype
    assert (image[..., 3] == MASK.astype(int) * (most // 255)).all()
    assert np.array_equal(image[INSIDE, :3], IMAGE[INSIDE].astype(int) * (most // 255))


def test_blur_leaves_the_foreground_and_does_not_bleed() -> None:
    image = made("blur")
    assert np.array_equal(image[INSIDE], IMAGE[INSIDE])
    assert np.abs(image[OUTSIDE].astype(int) - (20, 60, 220)).max() <= 2


def test_overlay_marks_the_foreground() -> None:
    image = made("overlay")
    assert (image[INSIDE, 1] > IMAGE[INSIDE, 1]).all()
    assert np.array_equal(image[-1, -1], IMAGE[-1, -1])


def test_a_picture_covers_the_background(tmp_path: Path) -> None:
    path = tmp_path / "beach.png"
    Image.new("RGB", (500, 40), (9, 99, 199)).save(path)
    (output,) = parse_outputs(str(path))
    assert output.name == "beach"
    assert (output.render(Cutout(IMAGE, MASK))[OUTSIDE] == (9, 99, 199)).all()


def test_composite_mixes_drawing_and_photo() -> None:
    image = made("composite", sigma=0, opacity=0.25)
    expected = 0.25 * IMAGE[INSIDE].astype(float) + 0.75 * 255
    assert np.abs(image[INSIDE] - expected).max() <= 1


@pytest.mark.parametrize(
    ("words", "message"),
    [("sepia", "type=sepia"), ([], "empty"), (["mask", "mask"], "twice")],
)
def test_what_is_no_output(words: str | list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_outputs(words)


def test_several_at_once(tmp_path: Path) -> None:
    words = ["mask", "rgba", "#ff8800", str(save_picture(tmp_path / "wall.jpg"))]
    assert [o.name for o in parse_outputs(words)] == ["mask", "rgba", "ff8800", "wall"]


SHEER = np.where(np.arange(MASK.shape[1]) % 3 > 0, 255, 128)
OPACITY = np.where(np.arange(MASK.shape[0])[:, None] < 40, 0, SHEER[None]).astype(np.uint8)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("word", ["rgba", "blur", "overlay", "composite"])
def test_nothing_is_more_opaque_than_its_photo(word: str, depth: type) -> None:
    unit = np.iinfo(depth).max // 255
    colors, opacity = IMAGE.astype(depth) * depth(unit), OPACITY.astype(depth) * depth(unit)
    if depth is np.uint16:
        opacity -= opacity > 0  # between two levels of 8 bit
    (output,) = parse_outputs(word)
    image = output.render(Cutout(colors, MASK, opacity=opacity))
    assert image.dtype == depth
    assert (image[..., 3] <= opacity).all()
    assert image[..., 3].max() > 0


def test_a_mask_leaves_out_what_is_transparent() -> None:
    mask = parse_outputs("mask")[0].render(Cutout(IMAGE, MASK, opacity=OPACITY))
    assert np.array_equal(mask, np.minimum(MASK, OPACITY))


@pytest.mark.parametrize("word", ["rgba", "white", "blur", "overlay", "composite"])
def test_hidden_colours_are_in_no_picture_and_sheer_ones_stay(word: str) -> None:
    (output,) = parse_outputs(word)
    images = []
    for hidden in (0, 255):
        colors = np.where(OPACITY[..., None] > 0, IMAGE, hidden).astype(np.uint8)
        shown = raster(colors, OPACITY)
        images.append(output.render(Cutout(shown.values, MASK, opacity=shown.opacity)))
    assert np.array_equal(*images)
    if word == "rgba":
        inside = (MASK == 255) & (OPACITY > 0)
        assert np.abs(images[0][inside][:, :3].astype(int) - IMAGE[inside]).max() <= 1
        assert np.array_equal(images[0][inside][:, 3], OPACITY[inside])


def test_an_exif_block_too_large_for_a_jpeg_is_left_out(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    exif = b"Exif\0\0" + bytes(70_000)
    image_file = ImageFile(tmp_path / "a.jpg", pixels, pixels, "JPEG", exif=exif)
    write_image_file(tmp_path / "b.jpg", pixels, image_file)
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.size == (8, 8)
