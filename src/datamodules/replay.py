"""Fine-tuning without forgetting: some images of the old data in each epoch of the new."""

from typing import Any

import numpy as np
from torch.utils.data import Dataset

from src.errors import UserError

from .batch import Draw


class Replay(Dataset[dict[str, Any]]):
    """The items of `own`, each once an epoch, then places that `base` fills with other items
    in each epoch: it is gone through in one fixed order, so that all of it is seen alike often.

    A sample is a function of (seed, epoch, item), as of every training set.

    Args:
        own: The new data, answers `own[Draw]`.
        base: The old data; names of its images get `base/` in front.
        share: Of an epoch's samples that are from `base`, above 0 and below 1.
        seed: Of the order in which `base` is gone through.

    Raises:
        UserError: The two yield samples that cannot share a batch.
    """

    def __init__(self, own: Dataset[Any], base: Dataset[Any], share: float, seed: int = 0) -> None:
        self.own, self.base, self.share = own, base, share
        self.own_count = len(own)  # type: ignore[arg-type]
        self.places = max(1, round(self.own_count * share / (1 - share)))
        self.order = np.random.default_rng(seed).permutation(len(base))  # type: ignore[arg-type]
        _require_alike(own[Draw(0, epoch=0)], base[Draw(0, epoch=0)])

    def __len__(self) -> int:
        return self.own_count + self.places

    def __getitem__(self, draw: Draw) -> dict[str, Any]:
        place = draw.item - self.own_count
        if place < 0:
            return self.own[draw]
        item = int(self.order[(draw.epoch * self.places + place) % len(self.order)])
        sample = self.base[Draw(item, draw.epoch)]
        return {**sample, "index": draw.item, "name": f"base/{sample['name']}"}

    def weights(self, own: np.ndarray | None) -> np.ndarray | None:
        """Chances of all items, given those of the own ones; the share stays as it is."""
        if own is None:
            return None
        of_base = np.full(self.places, self.share / self.places)
        return np.concatenate([own / own.sum() * (1 - self.share), of_base])


def _require_alike(own: dict[str, Any], base: dict[str, Any]) -> None:
    if set(own) != set(base):
        raise UserError(
            f"the base data yields {', '.join(base)} and the new data {', '.join(own)}: images with"
            " masks and objects with clicks cannot be mixed; choose another data@base=…"
        )
    for key in ("image", "prompt"):
        if key in own and own[key].shape != base[key].shape:
            raise UserError(
                f"the base data's {key} is {tuple(base[key].shape)} and the new data's"
                f" {tuple(own[key].shape)}: both must be made for one model"
            )
