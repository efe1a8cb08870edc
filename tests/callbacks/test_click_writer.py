"""The curves of a test by clicks are written by the first process, its time is said."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from src.callbacks.click_writer import ClickWriter
from src.metrics import ClickCurves, read_click_curves


class Module:
    """A module whose test simulated clicks, or not."""

    def __init__(self, clicked: bool) -> None:
        self.clicked = clicked

    def click_curves(self, names: dict[str, list[str]]) -> dict[str, ClickCurves]:
        ious, seconds = np.full((2, 20), 0.5, np.float32), np.array([3.0, 5.0])
        made = {name: ClickCurves("nothing", of, ious, seconds) for name, of in names.items()}
        return made if self.clicked else {}


def ended(folder: Path, module: Any, rank: int = 0) -> None:
    sets = {"VOC-val": ["a:1", "b:1"]}
    datamodule = SimpleNamespace(test_names=list(sets), image_names=sets.__getitem__)
    trainer: Any = SimpleNamespace(datamodule=datamodule, is_global_zero=rank == 0)
    ClickWriter(str(folder)).on_test_end(trainer, module)


def test_curves_are_kept_under_the_names_of_objects(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended(tmp_path, Module(clicked=True))
    assert list(read_click_curves(tmp_path)["VOC-val"].names) == ["a:1", "b:1"]
    assert "VOC-val: 0.200 s per click on this machine" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("module", "rank"), [(Module(True), 1), (Module(False), 0), (SimpleNamespace(), 0)]
)
def test_nothing_is_written_by_other_processes_and_without_clicks(
    tmp_path: Path, module: Any, rank: int
) -> None:
    ended(tmp_path, module, rank)
    assert list(tmp_path.iterdir()) == []
