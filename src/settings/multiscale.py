"""Multi-resolution training: each batch has one size, drawn anew (BiRefNet's "dynamic" weights).

The size reaches the data set, which resizes the image file to it, rather than the device, which
would resize what was resized before: a batch of a size is, to the bit, the batch that a training at
that size alone has, with the detail that the file has and the paper's own kernel. It costs the
workers what that size costs, and the device nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MULTIPLE = 32
_TAKEN = "a range such as 256-2304 nor a list of sizes"
_RANGE = re.compile(r"(\d+)-(\d+)")
# Of the stream of random numbers: others start from (seed, epoch, item) and 1 or 2.
_STREAM = 3

Shape = tuple[int, int]


@dataclass(frozen=True)
class Multiscale:
    """The sizes of training batches.

    Attributes:
        heights: Sides to draw from; as many as `widths` where one draw decides both.
        widths: The same.
        paired: Height and width of one draw belong together; else each is drawn by itself.
    """

    heights: tuple[int, ...]
    widths: tuple[int, ...]
    paired: bool

    @classmethod
    def parse(cls, value: str | Sequence[Any]) -> "Multiscale":
        """The sizes that a setting names.

        Args:
            value: `256-2304`, both sides drawn by themselves from all multiples of 32 in between;
                or a list of sides and [height, width] pairs, each as likely as the others.

        Raises:
            ValueError: No such text, an empty list, a side that is no multiple of 32.
        """
        if isinstance(value, str):
            found = _RANGE.fullmatch(value.strip())
            if found is None:
                raise ValueError(f"{value!r} is neither {_TAKEN}")
            low, high = _side(int(found[1])), _side(int(found[2]))
            if low > high:
                raise ValueError(f"{value!r} begins above its end")
            sides = tuple(range(low, high + 1, MULTIPLE))
            return cls(sides, sides, paired=False)
        if not isinstance(value, Sequence):
            raise ValueError(f"{value!r} is neither {_TAKEN}")
        shapes = [_shape(one) for one in value]
        if not shapes:
            raise ValueError("no size is listed")
        heights, widths = zip(*shapes, strict=True)
        return cls(heights, widths, paired=True)

    def draw(self, seed: int, epoch: int, batch: int) -> Shape:
        """Height and width of a batch, the same on every process and after every resume."""
        import numpy as np  # after the settings are read

        rng = np.random.default_rng((seed, epoch, batch, _STREAM))
        row = int(rng.integers(len(self.heights)))
        column = row if self.paired else int(rng.integers(len(self.widths)))
        return self.heights[row], self.widths[column]

    @property
    def shapes(self) -> list[Shape]:
        """Every size that can be drawn."""
        if self.paired:
            return list(zip(self.heights, self.widths, strict=True))
        return [(height, width) for height in self.heights for width in self.widths]

    @property
    def largest(self) -> Shape:
        """The size of the most pixels, which decides what fits into memory."""
        return max(self.shapes, key=lambda shape: shape[0] * shape[1])

    @property
    def mean_pixels(self) -> float:
        """Pixels of an image, on average over the batches."""
        return sum(height * width for height, width in self.shapes) / len(self.shapes)


def _shape(value: Any) -> Shape:
    sides = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    if len(sides) not in (1, 2):
        raise ValueError(f"{value!r} is no side and no [height, width]")
    height, width = _side(sides[0]), _side(sides[-1])
    return height, width


def _side(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < MULTIPLE:
        raise ValueError(f"{value!r} is no side: whole numbers from {MULTIPLE}, multiples of it")
    if value % MULTIPLE:
        raise ValueError(f"{value!r} is no multiple of {MULTIPLE}")
    return value
