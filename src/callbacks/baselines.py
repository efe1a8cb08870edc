"""Scores methods that learn nothing beside the model, so that its table has a floor."""

from collections.abc import Callable
from typing import Any

import numpy as np
from lightning import Callback, LightningModule, Trainer

from src.datamodules.baselines import mean_mask, otsu_map
from src.geometry.resize import resize
from src.metrics.scores import Scores

from .result_writer import ResultWriter


class Baselines(Callback):
    """Adds an Otsu threshold and the mean training mask to the table of a test.

    Put it before the `ResultWriter` in the config: it fills that callback's `baselines`.

    Args:
        mean_of: Training masks averaged.
    """

    def __init__(self, mean_of: int = 200) -> None:
        self.mean_of = mean_of

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
        datamodule.setup("fit")
        mean = mean_mask(datamodule.train, pl_module.geometry.size, self.mean_of)  # type: ignore[union-attr,arg-type]
        methods: dict[str, Callable[[np.ndarray], np.ndarray]] = {
            "Otsu threshold": otsu_map,
            "mean mask": lambda image: (mean * 255).astype(np.uint8),
        }
        writers = [c for c in trainer.callbacks if isinstance(c, ResultWriter)]  # type: ignore[attr-defined]
        for method, predict in methods.items():
            for name, dataset in datamodule.test.items():
                values = _score(dataset, predict, pl_module)
                for writer in writers:
                    writer.baselines.append((method, name, len(dataset), values))


def _score(
    dataset: Any, predict: Callable[[np.ndarray], np.ndarray], module: Any
) -> dict[str, float]:
    scores = Scores(module.test_metrics, expected=len(dataset))
    # The other ranks are not here: this metric counts for rank 0 alone.
    scores.sync_on_compute = False
    for index in range(len(dataset)):
        sample = dataset[index]
        truth = np.asarray(sample["original"])
        prediction = predict(sample["image"].permute(1, 2, 0).numpy())
        restored = resize(prediction, truth.shape, "opencv")
        scores.update([restored], [truth], [index])
    return {name: float(value) for name, value in scores.compute().items()}
