"""A set of objects, read one by one: each in its image, with its share of it."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from src.datamodules.inspection import Inspection
from src.datamodules.instance_sources import InstanceSource
from src.errors import UserError


class InstanceStats(NamedTuple):
    """What is known of an object: its place in the source, its image's size, its share of it."""

    item: int
    height: int
    width: int
    foreground: float


class InstanceInspection(Inspection[InstanceStats]):
    """A source of objects.

    Args:
        split: See `Inspection`.
        name: See `Inspection`.
        make: Makes the source.
    """

    counted, noun = "objects", "objects"

    def __init__(self, split: str, name: str, make: Callable[[], InstanceSource]) -> None:
        super().__init__(split, name)
        self.make = make
        self.source: InstanceSource | None = None

    def open(self) -> list[str]:
        self.source = self.make()
        return []

    def __len__(self) -> int:
        return 0 if self.source is None else len(self.source)

    def inspect(self, item: int) -> InstanceStats:
        assert self.source is not None
        mask = self.source.sample(item).mask
        if not mask.any():
            raise UserError(f"{self.source.names[item]}: an object without a pixel")
        height, width = mask.shape
        return InstanceStats(item, height, width, float((mask >= 128).mean()))

    def image_and_mask(self, found: InstanceStats, side: int) -> tuple[np.ndarray, np.ndarray]:
        assert self.source is not None
        instance = self.source.sample(found.item)
        return instance.image, instance.mask
