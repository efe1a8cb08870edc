"""The facts of a pair and of a set, measured on files."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from src.datamodules.images import ImageError
from src.datamodules.inspection import spread
from src.datamodules.pair_inspection import ImageStats, PairInspection, inspect
from src.datamodules.pairs import ImageMaskPair
from src.datamodules.sources import FolderPair
from tests.datamodules.miniatures import disc, image_file, write_set


@pytest.fixture
def pair(tmp_path: Path) -> ImageMaskPair:
    write_set(tmp_path / "images", tmp_path / "masks", 2)
    return ImageMaskPair(
        "x", tmp_path / "images" / "img_001.jpg", tmp_path / "masks" / "img_001.png"
    )


def test_facts_of_a_pair(pair: ImageMaskPair) -> None:
    fact = inspect(pair)
    assert (fact.height, fact.width) == (37, 49)
    assert fact.foreground == pytest.approx((disc(1, 37, 49) > 0).mean())
    assert fact.gray == 0
    assert fact.fault is None
    assert (fact.look.shape, fact.look.dtype) == ((32,), np.uint8)
    assert len(fact.digest) == 64


def test_grey_and_faults_of_the_mask(pair: ImageMaskPair) -> None:
    mask = np.zeros((37, 49), np.uint8)
    mask[:, :7] = 3
    cv2.imwrite(str(pair.mask), mask)
    fact = inspect(pair)
    assert fact.gray == pytest.approx(1 / 7)
    assert fact.foreground == 0
    assert "brightest value is 3" in str(fact.fault)
    cv2.imwrite(str(pair.mask), mask * 0)
    assert "all black" in str(inspect(pair).fault)
    assert inspect(pair, allow_empty=True).fault is None


def test_a_turned_photo_has_its_upright_size(pair: ImageMaskPair) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(image_file(1, 49, 37)).save(pair.image, exif=exif)
    assert (inspect(pair).height, inspect(pair).width) == (37, 49)


def test_the_look_survives_scaling_and_tells_pictures_apart(
    pair: ImageMaskPair, tmp_path: Path
) -> None:
    def look(name: str, pixels: np.ndarray) -> np.ndarray:
        path = tmp_path / name
        Image.fromarray(pixels).save(path)
        cv2.imwrite(str(pair.mask), np.zeros(pixels.shape[:2], np.uint8))
        return inspect(ImageMaskPair("x", path, pair.mask)).look

    image = image_file(7, 160, 200)
    first = look("a.png", image)
    scaled = look("b.jpg", cv2.resize(image, (500, 400), interpolation=cv2.INTER_CUBIC))
    other = look("c.png", image_file(8, 160, 200))
    assert np.unpackbits(first ^ scaled).sum() <= 8
    assert np.unpackbits(first ^ other).sum() > 60


@pytest.mark.parametrize("which", ["image", "mask"])
def test_a_file_that_is_not_whole_is_complained_about(pair: ImageMaskPair, which: str) -> None:
    path = getattr(pair, which)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (90, 90, 3), dtype=np.uint8)
    Image.fromarray(noise if which == "image" else noise[..., 0]).save(path)
    path.write_bytes(path.read_bytes()[:2500])
    with pytest.raises(ImageError, match=rf"^{path}: damaged"):
        inspect(pair)


def test_what_a_set_holds() -> None:
    shares, look = (0.0, 0.1, 0.95, 1.0), np.zeros(32, np.uint8)
    facts = [
        ImageStats(
            ImageMaskPair(str(i), Path("a"), Path("b")),
            1000,
            1000 * (i + 1),
            share,
            0.5,
            "",
            look,
            None,
        )
        for i, share in enumerate(shares)
    ]
    pairs = PairInspection("test", "X", None, FolderPair("images", "masks", count=4))
    said = pairs.summarize(facts)
    assert said["images"] == 4
    assert said["megapixels"] == {"smallest": 1, "median": 2.5, "largest": 4}
    assert said["foreground"] == {"smallest": 0, "median": 0.525, "largest": 1}
    assert said["foreground_histogram"] == [1, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert said["grey_mask_pixels"] == 0.5
    assert pairs.summarize([]) == {"images": 0}
    assert (pairs.label, pairs.expected) == ("test/X", 4)


def test_a_spread_of_one_value() -> None:
    assert spread(np.array([3])) == {"smallest": 3.0, "median": 3.0, "largest": 3.0}
