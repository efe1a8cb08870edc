"""Scores the masks of several makers on one data set: an export's metrics beside the model's."""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.datamodules.base import SegmentationDataModule
from src.errors import CommandError, UserError
from src.instantiate import build
from src.metrics import SegmentationMetrics, use_foreign
from src.models import own_hydra
from src.paths import CONF
from src.processing import Processor
from src.progress import track
from src.settings.nodes import check_nodes
from src.settings.training import parse_training
from src.training.config import register
from src.training.evaluate_checkpoint import test_all_of_it

Masks = Callable[[np.ndarray], np.ndarray]
Scores = dict[str, dict[str, float]]


class ScoringData:
    """Test images at their own size with their ground truth, and the metrics that were asked for.

    Args:
        words: What `finecut evaluate` takes of a data set, `data=dis5k data.root=DIR`, with
            `metrics.test=[…]` where others are wanted; or a folder with `images` and `masks` in it.

    Raises:
        UserError: No such data, nothing to test in it, or data to click on.
    """

    def __init__(self, words: str) -> None:
        cfg = _composed(words)
        use_foreign(OmegaConf.to_container(cfg.metrics.get("extra") or OmegaConf.create()))
        self.metrics = [str(name) for name in cfg.metrics.test]
        self._data: SegmentationDataModule = build(cfg.data)
        self._data.setup("test")
        if not self._data.test_sets:
            raise UserError(f"verify_on={words}: the data names no test set")

    @property
    def images(self) -> dict[str, int]:
        """How many there are in each data set."""
        return {name: len(dataset) for name, dataset in self._data.test_sets.items()}  # type: ignore[arg-type]

    def scores(self, makers: Mapping[str, Masks]) -> dict[str, Scores]:
        """`{maker: {data set: {metric: value}}}`; each image is read once.

        Args:
            makers: Functions from an image `(H, W, 3)`, uint8 in RGB, to its mask `(H, W)`, uint8.
        """
        found: dict[str, Scores] = {maker: {} for maker in makers}
        for name, dataset in self._data.test_sets.items():
            count = self.images[name]
            scorers = {maker: SegmentationMetrics(self.metrics, expected=count) for maker in makers}
            for index in track(range(count), f"scoring {name}", count):
                sample = dataset[index]
                if "prompt" in sample:
                    raise UserError("verify_on= is for images with masks, not for clicks")
                image = np.ascontiguousarray(sample["image"].permute(1, 2, 0).numpy())
                for maker, masks in makers.items():
                    target = sample["mask_full"]
                    scorers[maker].update([masks(image)], [target], [index])
            for maker, scorer in scorers.items():
                found[maker][name] = scorer.compute()
        return found


def _composed(words: str) -> DictConfig:
    folder = Path(words).expanduser()
    if folder.is_dir():
        given = ["data=folder", f"data.root='{folder.absolute()}'"]
    elif "data=" in words:
        given = shlex.split(words)
    else:
        raise CommandError(
            f"verify_on={words}: give a folder with images/ and masks/, or data=… as for evaluate"
        )
    register()
    whole = Processor((1, 1), image_kernel="whole", mask_kernel="whole").to_dict()
    try:
        with own_hydra(), initialize_config_dir(str(CONF), version_base=None):
            cfg = compose("evaluate_checkpoint", ["metrics=standard", *given])
        OmegaConf.set_struct(cfg, False)
        values: dict[str, Any] = {**whole, "_target_": "src.processing.Processor"}
        OmegaConf.update(cfg, "model.processor", values, merge=False)
        cfg.model.augment = None
        cfg.pop("preprocess", None)
        test_all_of_it(cfg)
        return check_nodes(parse_training(cfg))
    except (HydraException, OmegaConfBaseException) as error:
        raise CommandError(f"verify_on={words}: {' '.join(str(error).split())[:300]}") from error
