"""Pictures of what the network predicts: image | truth | prediction | error, one image a row."""

from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
from annotated_types import Ge
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger

from src.datamodules.batch import Batch

from .evaluated import evaluated


class MaskGallery(Callback):
    """Writes a PNG after each validation and test, and sends it to W&B where that is on.

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
                rows.append(error_row(one.image, one.truth, one.prediction, self.height))

    def _write(self, trainer: Trainer) -> None:
        for name, rows in self._rows.items():
            self.folder.mkdir(parents=True, exist_ok=True)
            sheet = stack_rows(rows)
            cv2.imwrite(str(self.folder / f"{name}.png"), sheet[..., ::-1])
            for logger in trainer.loggers:
                if isinstance(logger, WandbLogger):
                    logger.log_image(f"gallery/{name.split('_')[0]}", [sheet])
        self._rows = {}


def error_row(
    image: np.ndarray, truth: np.ndarray, prediction: np.ndarray, height: int
) -> np.ndarray:
    """One row `(height, 4·width, 3)`: in the error, red is missed and blue is too much."""
    width = max(1, round(height * truth.shape[1] / truth.shape[0]))

    def fit(panel: np.ndarray) -> np.ndarray:
        return cv2.resize(panel, (width, height), interpolation=cv2.INTER_AREA)

    difference = prediction.astype(np.int16) - truth.astype(np.int16)
    missed, extra = np.clip(-difference, 0, 255), np.clip(difference, 0, 255)
    agreed = np.minimum(prediction, truth) // 3
    error = np.stack([agreed + missed * 2 // 3, agreed, agreed + extra * 2 // 3], axis=-1)
    masks = [np.repeat(m[..., None], 3, axis=-1) for m in (truth, prediction)]
    return np.concatenate([fit(p.astype(np.uint8)) for p in (image, *masks, error)], axis=1)


def stack_rows(rows: list[np.ndarray]) -> np.ndarray:
    """Rows of different widths under one another, padded with grey."""
    width = max(row.shape[1] for row in rows)
    padded = [
        np.pad(row, ((0, 4), (0, width - row.shape[1]), (0, 0)), constant_values=96) for row in rows
    ]
    return np.concatenate(padded)
