"""Scores methods that learn nothing beside the model, so that its table has a floor."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from src.datamodules.baselines import box_map, grabcut_map, mean_mask, otsu_map
from src.datamodules.instances import InstanceDataset
from src.geometry.crop import Box, box_of_mask, crop
from src.geometry.resize import resize
from src.metrics.scores import Scores

TRAINING_MASKS = 200

Row = tuple[str, str, int, dict[str, float]]


def score_baselines(datamodule: Any, size: tuple[int, int], metrics: Sequence[str]) -> list[Row]:
    """(method, test set, images, values) of every baseline on every test set.

    For images: an Otsu threshold and the mean training mask. For objects, which are pointed at:
    the filled box, and GrabCut within it.
    """
    sets = datamodule.test_sets
    if all(isinstance(dataset, InstanceDataset) for dataset in sets.values()):
        return [row for name, made in sets.items() for row in _object_rows(name, made, metrics)]
    datamodule.setup("fit")
    mean = (mean_mask(datamodule.train_set, size, TRAINING_MASKS) * 255).astype(np.uint8)
    methods: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "Otsu threshold": otsu_map,
        "mean mask": lambda image: mean,
    }
    return [
        (method, name, len(dataset), _score(_image_maps(dataset, predict), metrics))
        for name, dataset in sets.items()
        for method, predict in methods.items()
    ]


def _object_rows(name: str, dataset: InstanceDataset, metrics: Sequence[str]) -> list[Row]:
    relax = dataset.prompts.relax
    methods: Mapping[str, Callable[[np.ndarray, Box], np.ndarray]] = {
        "box filled": lambda image, box: box_map((image.shape[0], image.shape[1]), box),
        "GrabCut": lambda image, box: _grabcut(image, box, relax),
    }
    return [
        (method, name, len(dataset), _score(_object_maps(dataset, predict), metrics))
        for method, predict in methods.items()
    ]


def _grabcut(image: np.ndarray, box: Box, relax: int) -> np.ndarray:
    """GrabCut given what the network is given: the relaxed crop, and the object's box in it."""
    size = (image.shape[0], image.shape[1])
    seen = box.grown(relax).clipped(size)
    x, y = seen.x_min, seen.y_min
    inner = Box(box.x_min - x, box.y_min - y, box.x_max - x, box.y_max - y)
    whole = np.zeros(size, np.uint8)
    whole[seen.slices] = grabcut_map(crop(image, seen), inner)
    return whole


def _image_maps(
    dataset: Any, predict: Callable[[np.ndarray], np.ndarray]
) -> Iterable[dict[str, Any]]:
    """The arguments of `Scores.update` for each image."""
    for index in range(len(dataset)):
        sample = dataset[index]
        truth = np.asarray(sample["original"])
        prediction = predict(sample["image"].permute(1, 2, 0).numpy())
        guess = resize(prediction, truth.shape, "opencv")
        yield {"predictions": [guess], "truths": [truth], "index": [index]}


def _object_maps(
    dataset: InstanceDataset, predict: Callable[[np.ndarray, Box], np.ndarray]
) -> Iterable[dict[str, Any]]:
    """As `_image_maps` for each object, with its tight box, void and category."""
    for index in range(len(dataset)):
        instance = dataset.source.sample(index)
        yield {
            "predictions": [predict(instance.image, box_of_mask(instance.mask))],
            "truths": [instance.mask],
            "index": [index],
            "voids": [instance.void],
            "categories": [instance.category],
        }


def _score(maps: Iterable[dict[str, Any]], metrics: Sequence[str]) -> dict[str, float]:
    scores = Scores(list(metrics))
    scores.sync_on_compute = False  # only rank 0 scores baselines
    for arguments in maps:
        scores.update(**arguments)
    return {name: float(value) for name, value in scores.compute().items()}
