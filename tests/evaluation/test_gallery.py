"""The worst images by a metric, and what is drawn of them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from src.evaluation.gallery import PANEL, draw_row, worst_pairs, write_gallery
from src.evaluation.matching import MapPair
from src.metrics import ImageResult
from src.visualize import MISSED

NAN = float("nan")


def scores(metric: str, **values: float) -> dict[MapPair, ImageResult]:
    nothing = np.zeros((2, 256), np.int64)
    return {
        MapPair("S", name, Path(f"{name}.png"), Path("t.png")): ImageResult(
            {metric: value}, nothing
        )
        for name, value in values.items()
    }


@pytest.mark.parametrize(("metric", "expected"), [("max_f", "bcad"), ("mae", "acbd")])
def test_worst_is_lowest_or_highest_and_undefined_comes_last(metric: str, expected: str) -> None:
    found = worst_pairs(scores(metric, d=NAN, a=0.9, b=0.1, c=0.5), metric, 9)
    assert "".join(pair.name for pair in found) == expected


def test_equal_scores_keep_the_order_of_names() -> None:
    found = worst_pairs(scores("mae", c=0.5, a=0.5, b=0.5), "mae", 2)
    assert [pair.name for pair in found] == ["a", "b"]


def write(root: Path, map_size: tuple[int, int], truth_size: tuple[int, int]) -> MapPair:
    pair = MapPair("S", "a", root / "map.png", root / "truth.png")
    cv2.imwrite(str(pair.map), np.zeros(map_size, np.uint8))
    cv2.imwrite(str(pair.target), np.full(truth_size, 255, np.uint8))
    return pair


@pytest.mark.parametrize(
    ("target", "panel"),
    [
        ((640, 960), (213, 320)),
        ((30, 20), (320, 213)),
        ((1, 1000), (1, 320)),
    ],
)
def test_three_panels_under_a_caption(
    tmp_path: Path, target: tuple[int, int], panel: tuple[int, int]
) -> None:
    row = draw_row(write(tmp_path, (50, 50), target), "a")
    height, width = panel
    assert max(panel) == PANEL
    assert row.shape == (22 + height, 3 * width, 3)
    middle = row[22 + height // 2]
    assert [middle[width // 2 + i * width].tolist() for i in range(3)] == [
        [255] * 3,
        [0] * 3,
        list(MISSED),
    ]


def test_a_long_caption_widens_the_row(tmp_path: Path) -> None:
    row = draw_row(write(tmp_path, (30, 2), (30, 2)), "a" * 100)
    assert row.shape[1] == 1200
    assert (row[30:, 3 * 21 + 5 :] == 90).all()


def test_rows_of_different_widths_are_one_picture(tmp_path: Path) -> None:
    scored = {}
    for name, size in (("a", (20, 40)), ("b", (40, 20))):
        (tmp_path / name).mkdir()
        pair = write(tmp_path / name, size, size)._replace(name=name)
        scored[pair] = ImageResult({"mae": 1.0}, np.zeros((2, 256), np.int64))
    path = tmp_path / "worst.png"
    write_gallery(path, scored, "mae")
    assert cv2.imread(str(path)).shape == (2 * (22 + 6) + 160 + 320, 960, 3)


@pytest.mark.parametrize(("count", "names"), [(0, {"a": 0.5}), (3, {})])
def test_no_rows_write_no_file(tmp_path: Path, count: int, names: dict[str, float]) -> None:
    write_gallery(tmp_path / "worst.png", scores("mae", **names), "mae", count)
    assert list(tmp_path.iterdir()) == []
