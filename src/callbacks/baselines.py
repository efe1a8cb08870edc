"""Scores methods that learn nothing beside the model, so that its table has a floor."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from src.datamodules.baselines import mean_mask, otsu_map
from src.geometry.resize import resize
from src.metrics.scores import Scores

TRAINING_MASKS = 200


def score_baselines(
    datamodule: Any, size: tuple[int, int], metrics: Sequence[str]
) -> list[tuple[str, str, int, dict[str, float]]]:
    """(method, test set, images, values) of an Otsu threshold and of the mean training mask."""
    datamodule.setup("fit")
    mean = (mean_mask(datamodule.train_set, size, TRAINING_MASKS) * 255).astype(np.uint8)
    methods: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "Otsu threshold": otsu_map,
        "mean mask": lambda image: mean,
    }
    return [
        (method, name, len(dataset), _score(dataset, predict, metrics))
        for name, dataset in datamodule.test_sets.items()
        for method, predict in methods.items()
    ]


def _score(
    dataset: Any, predict: Callable[[np.ndarray], np.ndarray], metrics: Sequence[str]
) -> dict[str, float]:
    scores = Scores(list(metrics), expected=len(dataset))
    scores.sync_on_compute = False  # only rank 0 scores baselines
    for index in range(len(dataset)):
        sample = dataset[index]
        truth = np.asarray(sample["original"])
        prediction = predict(sample["image"].permute(1, 2, 0).numpy())
        scores.update([resize(prediction, truth.shape, "opencv")], [truth], [index])
    return {name: float(value) for name, value in scores.compute().items()}
