"""IoU against clicks: averaged over seeds, drawn the same every time, damage named."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from src.errors import UserError
from src.metrics import ClickCurves, Start, write_click_curves
from src.reporting import click_curves
from src.reporting.click_curves import plot_click_curves, plot_clicks
from src.reporting.groups import Group


def curves(height: float, start: Start = "nothing", clicks: int = 20) -> ClickCurves:
    ious = np.linspace(0, height, clicks, dtype=np.float32)[None]
    return ClickCurves(start, ["a"], ious, np.ones(1))


def test_runs_with_clicks_are_drawn_in_three_formats_the_same_every_time(
    tmp_path: Path, groups: list[Group]
) -> None:
    assert plot_clicks(groups, "SOD") == {}
    write_click_curves(tmp_path / "u0", {"SOD": curves(0.8)})
    first = plot_clicks(groups, "SOD")
    assert [*first] == ["png", "pdf", "svg"]
    image = cv2.imdecode(np.frombuffer(first["png"], np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (504, 660, 3)
    assert first["pdf"].startswith(b"%PDF")
    assert b"<svg" in first["svg"]
    assert first == plot_clicks(groups, "SOD")
    assert plot_clicks(groups, "ECSSD") == {}


def test_a_group_is_the_mean_of_its_seeds(tmp_path: Path, groups: list[Group]) -> None:
    (group,) = (one for one in groups if one.name == "u2net/u2net")
    write_click_curves(tmp_path / "u0", {"SOD": curves(0.6, "prompt3", 18)})
    write_click_curves(tmp_path / "u1", {"SOD": curves(1.0, "prompt3", 18)})
    line = click_curves._average(group, "SOD", None)
    assert line is not None
    assert line[0].tolist() == list(range(3, 21))
    assert line[1][-1] == pytest.approx(0.8)


def test_a_seed_with_other_clicks_is_left_out_and_named(
    tmp_path: Path, groups: list[Group]
) -> None:
    write_click_curves(tmp_path / "u0", {"SOD": curves(0.6)})
    write_click_curves(tmp_path / "u1", {"SOD": curves(0.6, clicks=5)})
    with pytest.raises(UserError, match=r"u1/clicks\.json: SOD has other clicks"):
        plot_clicks(groups, "SOD")
    problems: list[str] = []
    assert plot_clicks(groups, "SOD", problems)
    assert len(problems) == 1
    (tmp_path / "u1" / "clicks.json").write_text("{")
    with pytest.raises(UserError, match=r"u1/clicks\.json is damaged"):
        plot_clicks(groups, "SOD")


def test_curves_of_any_network_are_drawn_beside_each_other() -> None:
    made = plot_click_curves(
        {"ours": curves(0.9), "$theirs": curves(0.7, "prompt4", 17)}, "GrabCut"
    )
    assert {*made} == {"png", "pdf", "svg"}
    assert made != plot_click_curves({"ours": curves(0.9)}, "GrabCut")
