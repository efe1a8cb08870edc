"""Writes the IoU of each object after each click, where a test simulated clicks."""

from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer

from src.metrics import ClickCurves, write_click_curves


class ClickWriter(Callback):
    """Writes `clicks.json`, from which the number of clicks to any IoU follows, and says the time.

    Seconds per click stand in that file and in no table: they are of the machine.

    Args:
        folder: Of the run.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        click_curves: Any = getattr(pl_module, "click_curves", None)
        if click_curves is None:
            return
        datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
        names = {name: datamodule.image_names(name) for name in datamodule.test_names}
        curves: dict[str, ClickCurves] = click_curves(names)
        if not curves or not trainer.is_global_zero:
            return
        write_click_curves(self.folder, curves)
        for name, one in curves.items():
            print(f"{name}: {one.seconds_per_click:.3f} s per click on this machine")
