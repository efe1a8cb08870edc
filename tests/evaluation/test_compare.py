"""Paired comparison: seeded, on the same images only, of one protocol only."""

from pathlib import Path

import numpy as np
import pytest

from src.errors import UserError
from src.evaluation.compare import (
    Comparison,
    bootstrap_interval,
    compare_results,
    markdown,
    read_comparable,
)
from src.metrics import describe
from src.results.write import SetResults, write_results_folder
from tests.reporting.run_folders import scored


def compare_folders(ours: Path, theirs: Path) -> list[Comparison]:
    return compare_results(read_comparable(ours), read_comparable(theirs))


def write(
    folder: Path, values: dict[str, list[float]], protocol: dict[str, str] | None = None
) -> Path:
    folder.mkdir()
    rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    names = [f"i{i}" for i in range(len(rows))]
    means = {name: float(np.nanmean(column)) for name, column in values.items()}
    sets = {"SET": SetResults(means, names, [scored(row) for row in rows])}
    stored = protocol or {name: describe(name) for name in values}
    write_results_folder(folder, sets, kind="maps", method="mine", protocol=stored)
    return folder


def test_difference_beyond_noise_is_decided(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    base = rng.random(200)
    theirs = write(tmp_path / "b", {"s_measure": list(base), "mae": list(base)})
    better = {"s_measure": list(base + 0.02), "mae": list(base + rng.normal(0, 0.1, 200))}
    ours = write(tmp_path / "a", better)

    s_measure, mae = compare_folders(ours, theirs)

    assert s_measure.verdict == "better"
    assert s_measure.difference == pytest.approx(0.02)
    assert s_measure.won == 1
    assert s_measure.images == 200
    assert mae.verdict == "undecided"
    assert compare_folders(ours, theirs) == [s_measure, mae]
    assert "| SET | s_measure | 200 |" in markdown([s_measure, mae], "b")


def test_lower_mae_is_better(tmp_path: Path) -> None:
    ours = write(tmp_path / "a", {"mae": [0.1, 0.2, 0.15]})
    theirs = write(tmp_path / "b", {"mae": [0.2, 0.3, 0.25]})
    assert compare_folders(ours, theirs)[0].verdict == "better"
    assert compare_folders(theirs, ours)[0].verdict == "worse"


def test_undefined_images_are_left_out(tmp_path: Path) -> None:
    ours = write(tmp_path / "a", {"mba": [0.5, float("nan"), 0.5]})
    theirs = write(tmp_path / "b", {"mba": [0.5, 0.7, 0.4]})
    assert compare_folders(ours, theirs)[0].images == 2


def test_interval_covers_the_mean_at_its_rate() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for seed in range(200):
        low, high = bootstrap_interval(rng.normal(0.3, 1, 60), seed, resamples=500)
        covered += low <= 0.3 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_other_images_or_protocols_are_refused(tmp_path: Path) -> None:
    ours = write(tmp_path / "a", {"max_f": [0.5, 0.6]})
    fewer = write(tmp_path / "b", {"max_f": [0.5]})
    dis = write(tmp_path / "c", {"max_f": [0.5, 0.6]}, {"max_f": describe("max_f_dis")})
    with pytest.raises(UserError, match="1 are in one only:\n  SET/i1"):
        compare_folders(ours, fewer)
    with pytest.raises(UserError, match="two protocols"):
        compare_folders(ours, dis)
    with pytest.raises(UserError, match=r"no .*results\.json"):
        compare_folders(ours, tmp_path)


def test_images_are_compared_by_their_names_in_whatever_order(tmp_path: Path) -> None:
    ours = write(tmp_path / "a", {"mae": [0.1, 0.2]})
    images = [scored({"mae": value}) for value in (0.2, 0.1)]
    sets = {"SET": SetResults({"mae": 0.15}, ["i1", "i0"], images)}
    (tmp_path / "b").mkdir()
    protocol = {"mae": describe("mae")}
    write_results_folder(tmp_path / "b", sets, kind="run", method="b", protocol=protocol)
    (only,) = compare_folders(ours, tmp_path / "b")
    assert (only.low, only.high, only.won) == (0, 0, 0.5)
