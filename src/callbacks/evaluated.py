"""The images of an evaluated batch one by one, as what draws them needs them."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from src.datamodules.batch import Batch


class Evaluated(NamedTuple):
    """An image whose mask was predicted; arrays are made when they are asked for.

    picture: uint8 `(3, h, w)`, as the network saw it before normalisation.
    original: uint8 `(H, W)`, the truth.
    predicted: uint8 `(H, W)`.
    """

    name: str
    picture: Tensor
    original: Tensor
    predicted: Tensor

    @property
    def image(self) -> np.ndarray:
        """uint8 RGB `(h, w, 3)`."""
        return self.picture.permute(1, 2, 0).cpu().numpy()

    @property
    def truth(self) -> np.ndarray:
        return self.original.cpu().numpy()

    @property
    def prediction(self) -> np.ndarray:
        return self.predicted.cpu().numpy()


def evaluated(batch: Batch, outputs: Mapping[str, Any]) -> Iterator[Evaluated]:
    """The images of a batch of validation or test, with what the step returned for it."""
    columns = (batch["name"], batch["picture"], batch["original"], outputs["predictions"])
    for row in zip(*columns, strict=True):
        yield Evaluated(*row)
