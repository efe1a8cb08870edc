"""Parallel coordinates: each line goes through its settings, the best stands on top."""

from pathlib import Path

import pytest

from src.sweeps.summary import _Axis, parallel_plot


def test_numbers_stand_by_size_and_over_decades_by_logarithm() -> None:
    assert _Axis("n", ["4", "8", "6"]).height("6") == pytest.approx(0.5)
    assert _Axis("lr", ["1e-5", "1e-3", "1e-1"]).height("1e-3") == pytest.approx(0.5)
    assert _Axis("seed", ["0", "0"]).height("0") == 0.5


def test_words_stand_apart_and_a_number_among_them_is_a_word() -> None:
    axis = _Axis("model", ["isnet", "u2net", "null", "3"])
    heights = [axis.height(word) for word in ("3", "isnet", "null", "u2net")]
    assert heights == sorted(heights)
    assert len(set(heights)) == 4


@pytest.mark.parametrize("scores", [(0.1, 0.9, None), (None, None, None), (0.5, 0.5, 0.5)])
def test_a_picture_is_drawn_whatever_failed(
    tmp_path: Path, scores: tuple[float | None, ...]
) -> None:
    lines = [({"lr": f"1e-{i}", "model": "ab"[i % 2]}, score) for i, score in enumerate(scores)]
    parallel_plot(tmp_path / "plot.png", [*lines, ({"lr": "inf"}, None)])
    assert (tmp_path / "plot.png").stat().st_size > 1000
