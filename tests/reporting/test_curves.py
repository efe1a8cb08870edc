"""Curves of runs: averaged over seeds, drawn the same every time, refused where they are none."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from src.errors import UserError
from src.reporting import curves
from src.reporting.curves import plot
from src.reporting.groups import Group, group
from src.reporting.runs import collect
from tests.reporting.run_folders import keep_curves


def test_curves_are_drawn_where_runs_wrote_them(tmp_path: Path, groups: list[Group]) -> None:
    assert plot(groups, "SOD") is None
    keep_curves(tmp_path / "u0")
    groups = group(collect([tmp_path]))
    first = plot(groups, "SOD")
    assert first is not None
    image = cv2.imdecode(np.frombuffer(first, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (504, 1200, 3)
    assert first == plot(groups, "SOD")
    assert plot(groups, "ECSSD") is None
    assert plot([], "SOD") is None


def test_a_group_is_the_mean_of_the_seeds_that_have_curves(
    tmp_path: Path, groups: list[Group]
) -> None:
    keep_curves(tmp_path / "u0", height=0.6)
    alone = curves._average(of_u2net(tmp_path), "SOD")
    keep_curves(tmp_path / "u1", height=1.0)
    both = curves._average(of_u2net(tmp_path), "SOD")
    assert alone is not None
    assert both is not None
    assert alone["precision"][-1] == pytest.approx(0.6)
    assert both["precision"][-1] == pytest.approx(0.8)
    assert both["recall"][0] == pytest.approx(0.8)
    assert both["f"].shape == (256,)


def of_u2net(root: Path) -> Group:
    (found,) = (one for one in group(collect([root])) if one.name == "u2net/u2net")
    return found


@pytest.mark.parametrize(
    "stored",
    [
        {"precision": [0, 1], "recall": [1, 0]},
        {"precision": [0, 1], "recall": [1, 0], "f": [0]},
        {},
    ],
)
def test_curves_that_are_none_are_told(
    tmp_path: Path, groups: list[Group], stored: dict[str, Any]
) -> None:
    (tmp_path / "u0" / "curves.json").write_text(json.dumps({"SOD": stored}))
    with pytest.raises(UserError, match=r"u0/curves\.json: SOD needs precision, recall, f of 256"):
        plot(groups, "SOD")


def test_a_damaged_file_is_named(tmp_path: Path, groups: list[Group]) -> None:
    (tmp_path / "u0" / "curves.json").write_text('{"SOD')
    with pytest.raises(UserError, match=r"u0/curves\.json is damaged"):
        plot(groups, "SOD")
