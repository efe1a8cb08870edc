"""Masks without learning, scored beside the model, so that its table has a floor."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from torch.utils.data import Dataset

from src.datamodules.instances import InstanceDataset
from src.errors import UserError
from src.metrics import SegmentationMetrics
from src.processing.crop import Box, box_of_mask, crop
from src.processing.resize import resize

TRAINING_MASKS = 200
BaselineRow = tuple[str, str, int, dict[str, float]]


def otsu_map(image: np.ndarray) -> np.ndarray:
    """Threshold the brightness (Otsu 1979); the side that fills less of the border is foreground.

    Args:
        image: uint8 RGB `(H, W, 3)`.

    Returns:
        uint8 `(H, W)`, 0 or 255.
    """
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    _, bright = cv2.threshold(gray, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    border = np.concatenate([bright[0], bright[-1], bright[1:-1, 0], bright[1:-1, -1]])
    return 255 - bright if border.mean() > 127.5 else bright


def mean_mask(dataset: Dataset[Any], size: tuple[int, int], count: int | None = None) -> np.ndarray:
    """Average the masks of a data set's samples: the best guess without seeing the image.

    Args:
        dataset: Answers `dataset[int]` with a uint8 `mask` (1, h, w).
        size: Height and width of the result.
        count: Use the first `count` samples; None for all.

    Returns:
        float64 `size`, in [0, 1].

    Raises:
        UserError: There is no sample to average.
    """
    length = len(dataset)  # type: ignore[arg-type]
    used = length if count is None else min(count, length)
    if used < 1:
        raise UserError(f"mean_mask: no samples to average (count {count}, data set of {length})")
    total = np.zeros(size)
    for item in range(used):
        mask = np.asarray(dataset[item]["mask"])[0]
        total += cv2.resize(mask, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return total / (255 * used)


def grabcut_map(image: np.ndarray, box: Box, iterations: int = 5) -> np.ndarray:
    """GrabCut (Rother et al. 2004), given that the object lies in `box` and nowhere else.

    Args:
        image: uint8 RGB `(H, W, 3)`; what lies outside of `box` teaches it the background.
        box: Inside the image. A box that leaves no background is the answer itself.
        iterations: Of fitting colors and cutting.

    Returns:
        uint8 `(H, W)`, 0 or 255.
    """
    labels = np.full(image.shape[:2], cv2.GC_BGD, np.uint8)
    labels[box.slices] = cv2.GC_PR_FGD
    if (labels == cv2.GC_BGD).any():
        cv2.setRNGSeed(0)  # its k-means draws from OpenCV's generator, and a table must repeat
        unused, models = (0, 0, 1, 1), np.zeros((2, 1, 65))
        cv2.grabCut(image, labels, unused, models[0], models[1], iterations, cv2.GC_INIT_WITH_MASK)
    return np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8) * np.uint8(255)


def box_map(size: tuple[int, int], box: Box) -> np.ndarray:
    """A filled box in an image of `size` (height, width), uint8, 0 or 255."""
    filled = np.zeros(size, np.uint8)
    filled[box.slices] = 255
    return filled


def score_baselines(
    datamodule: Any, size: tuple[int, int], metrics: Sequence[str]
) -> list[BaselineRow]:
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


def _object_rows(name: str, dataset: InstanceDataset, metrics: Sequence[str]) -> list[BaselineRow]:
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
    """The arguments of `SegmentationMetrics.update` for each image."""
    for index in range(len(dataset)):
        sample = dataset[index]
        target = np.asarray(sample["mask_full"])
        prediction = predict(sample["image"].permute(1, 2, 0).numpy())
        guess = resize(prediction, target.shape, "opencv")
        yield {"predictions": [guess], "targets": [target], "index": [index]}


def _object_maps(
    dataset: InstanceDataset, predict: Callable[[np.ndarray, Box], np.ndarray]
) -> Iterable[dict[str, Any]]:
    """As `_image_maps` for each object, with its tight box, void and category."""
    for index in range(len(dataset)):
        instance = dataset.source.sample(index)
        yield {
            "predictions": [predict(instance.image, box_of_mask(instance.mask))],
            "targets": [instance.mask],
            "index": [index],
            "voids": [instance.void],
            "categories": [instance.category],
        }


def _score(maps: Iterable[dict[str, Any]], metrics: Sequence[str]) -> dict[str, float]:
    scores = SegmentationMetrics(list(metrics))
    scores.sync_on_compute = False  # only rank 0 scores baselines
    for arguments in maps:
        scores.update(**arguments)
    return {name: float(value) for name, value in scores.compute().items()}
