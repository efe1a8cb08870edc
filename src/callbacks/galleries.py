"""Images of what the network predicts: of a validation, and of a test's best and worst."""

import bisect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import cv2
import numpy as np
from annotated_types import Ge
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from src.atomic import atomic_write, atomic_write_image
from src.datamodules.batch import Batch
from src.training.loggers import trackers_of
from src.visualize import error_map, side_by_side, stack_rows


class Evaluated(NamedTuple):
    """An image whose mask was predicted; arrays are made when they are asked for.

    image_uint8: uint8 `(3, h, w)`, as the network saw it before normalization.
    mask_full: uint8 `(H, W)`, the ground truth.
    predicted: uint8 `(H, W)`.
    """

    name: str
    image_uint8: Tensor
    mask_full: Tensor
    predicted: Tensor

    @property
    def image(self) -> np.ndarray:
        """uint8 RGB `(h, w, 3)`."""
        return self.image_uint8.permute(1, 2, 0).cpu().numpy()

    @property
    def target(self) -> np.ndarray:
        return self.mask_full.cpu().numpy()

    @property
    def prediction(self) -> np.ndarray:
        return self.predicted.cpu().numpy()


def evaluated(batch: Batch, outputs: Mapping[str, Any]) -> Iterator[Evaluated]:
    """The images of a batch of validation or test, with what the step returned for it."""
    columns = (batch["name"], batch["image_uint8"], batch["mask_full"], outputs["predictions"])
    for row in zip(*columns, strict=True):
        yield Evaluated(*row)


class MaskGallery(Callback):
    """Writes a PNG after each validation and test, and hands it to the run's trackers.

    Args:
        folder: Where `val_<step>.png`, `base_<step>.png` (in fine-tuning) and `test_<set>.png` are
            written.
        count: Images shown, the first of the set.
        height: Of each row, in pixels.
    """

    def __init__(
        self, folder: str, count: Annotated[int, Ge(0)] = 8, height: Annotated[int, Ge(16)] = 192
    ) -> None:
        self.folder, self.count, self.height = Path(folder), count, height
        self._rows: dict[str, list[np.ndarray]] = {}

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if trainer.is_global_zero and not trainer.sanity_checking:
            name = list(trainer.datamodule.validation_sets)[dataloader_idx]  # type: ignore[attr-defined]
            self._collect(f"{name}_{trainer.global_step:07d}", outputs, batch)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if trainer.is_global_zero:
            name = trainer.datamodule.test_names[dataloader_idx]  # type: ignore[attr-defined]
            self._collect(f"test_{name}", outputs, batch)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(trainer)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(trainer)

    def _collect(self, name: str, outputs: Any, batch: Batch) -> None:
        rows = self._rows.setdefault(name, [])
        for one in evaluated(batch, outputs):
            if len(rows) < self.count:
                rows.append(error_row(one.image, one.target, one.prediction, self.height))

    def _write(self, trainer: Trainer) -> None:
        for name, rows in self._rows.items():
            self.folder.mkdir(parents=True, exist_ok=True)
            sheet = stack_rows(rows)
            path = self.folder / f"{name}.png"
            atomic_write_image(path, sheet)
            for tracker in trackers_of(trainer):
                tracker.log_sheet(name.split("_")[0], sheet, path, trainer.global_step)
        self._rows = {}


def error_row(
    image: np.ndarray, target: np.ndarray, prediction: np.ndarray, height: int
) -> np.ndarray:
    """Image, ground truth, prediction and error in one row `(height, 4·width, 3)`, uint8 RGB."""
    width = max(1, round(height * target.shape[1] / target.shape[0]))
    panels = (image, target, prediction, error_map(prediction, target))
    return side_by_side(panels, height, width)


class _Kept(NamedTuple):
    error: float
    name: str
    row: np.ndarray


class Extremes(Callback):
    """Writes `<folder>/<set>/<process>_<rank>.jpg`, best first, and `<process>.json` about them.

    Images are ranked by the mean absolute error of the 8-bit map as it is. Each process of several
    writes those of its own images; who shows them takes the best and the worst of all.

    Args:
        folder: Where the sets' folders go.
        count: Images kept at either end.
        height: Of an image, in pixels.
    """

    def __init__(
        self, folder: str, count: Annotated[int, Ge(0)] = 3, height: Annotated[int, Ge(16)] = 96
    ) -> None:
        self.folder, self.count, self.height = Path(folder), count, height
        self._kept: dict[str, list[_Kept]] = {}

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        test = trainer.datamodule.test_names[dataloader_idx]  # type: ignore[attr-defined]
        kept = self._kept.setdefault(test, [])
        for one in evaluated(batch, outputs):
            target, found = one.target, one.prediction
            error = float(cv2.absdiff(target, found).mean()) / 255
            place = bisect.bisect(kept, (error, one.name), key=lambda entry: entry[:2])
            if len(kept) == 2 * self.count and place == self.count:
                continue  # neither among the best nor the worst: its image is not needed
            row = error_row(one.image, target, found, self.height)
            kept.insert(place, _Kept(error, one.name, row))
            if len(kept) > 2 * self.count:
                kept.pop(self.count)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for test, kept in self._kept.items():
            folder = self.folder / test
            folder.mkdir(parents=True, exist_ok=True)
            entries = []
            for rank, shown in enumerate(kept):
                file = f"{trainer.global_rank}_{rank}.jpg"
                quality = [cv2.IMWRITE_JPEG_QUALITY, 85]
                atomic_write_image(folder / file, shown.row, quality)
                entries.append({"name": shown.name, "error": shown.error, "file": file})
            text = json.dumps(entries, indent=2) + "\n"
            atomic_write(folder / f"{trainer.global_rank}.json", text)
        self._kept = {}
