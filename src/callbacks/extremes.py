"""Keeps the best and the worst images of a test as pictures, for the page of `tables.py`."""

import bisect
import json
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import cv2
import numpy as np
from annotated_types import Ge
from lightning import Callback, LightningModule, Trainer

from src.datamodules.batch import Batch
from src.whole_file import write_whole

from .evaluated import evaluated
from .mask_gallery import error_row


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
        height: Of a picture, in pixels.
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
            truth, found = one.truth, one.prediction
            error = float(cv2.absdiff(truth, found).mean()) / 255
            place = bisect.bisect(kept, (error, one.name), key=lambda entry: entry[:2])
            if len(kept) == 2 * self.count and place == self.count:
                continue  # neither among the best nor the worst: its picture is not needed
            row = error_row(one.image, truth, found, self.height)
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
                cv2.imwrite(str(folder / file), shown.row[..., ::-1], quality)
                entries.append({"name": shown.name, "error": shown.error, "file": file})
            text = json.dumps(entries, indent=2) + "\n"
            write_whole(folder / f"{trainer.global_rank}.json", text)
        self._kept = {}
