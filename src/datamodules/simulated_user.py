"""The interactive field's simulated user: clicks by which the number of clicks (NoC) is counted.

RITM, SimpleClick and SegNext share it. IOG's own, for training and its own test, is `next_click`
of `clicks.py`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from src.datamodules.clicks import Click
from src.errors import UserError
from src.hashing import bytes_hash
from src.processing.crop import Box, EmptyMaskError, box_of_mask

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Jitter:
    """A user whose hand is not still: clicks are drawn from the region of the error.

    A click is drawn with probability ∝ depth^gamma over the pixels of the connected region
    (through sides and corners) that holds the deepest pixel. Each draw is a function of seed,
    name and number of the click alone.

    Args:
        seed: Of this user; another one for each run.
        name: Of the object, with its image's.
        gamma: 0 draws evenly; the larger, the nearer to the deepest pixel. Not negative.

    Raises:
        UserError: `gamma` is negative or not finite.
    """

    seed: int
    name: str
    gamma: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.gamma < float("inf"):
            raise UserError(f"jitter: gamma is {self.gamma}; give a number from 0 on")

    def choose(self, squares: npt.NDArray[np.int32], deepest: int, number: int) -> int:
        """The place of a click in `squares` `(H, W)`, counted row by row.

        Args:
            squares: Squared depth of each pixel, 0 where there is no error or a click.
            deepest: Place of the deepest.
            number: Of the click, from 1 on.
        """
        _, labels = cv2.connectedComponents((squares > 0).astype(np.uint8), connectivity=8)
        region = labels.ravel() == labels.ravel()[deepest]
        places = np.flatnonzero(region & (squares.ravel() > 0))
        weights = squares.ravel()[places].astype(np.float64) ** (self.gamma / 2)
        reached = np.cumsum(weights / weights.max())
        digest = bytes.fromhex(bytes_hash(f"{self.seed}:{self.name}:{number}".encode()))
        drawn = np.random.default_rng(int.from_bytes(digest[:8], "little")).random() * reached[-1]
        return int(places[min(np.searchsorted(reached, drawn, "right"), len(places) - 1)])


class SimulatedUser:
    """Clicks on one object until it is right, into the middle of what is wrong.

    Args:
        target: The object, `(H, W)`.
        void: Pixels that do not count, `(H, W)`.
        jitter: None clicks the deepest pixel.

    Attributes:
        clicks: Those given so far.
    """

    def __init__(self, target: Mask, void: Mask | None = None, jitter: Jitter | None = None):
        self._object = target if void is None else target & ~void
        self._rest = ~target if void is None else ~(target | void)
        self._jitter = jitter
        self.clicks: list[Click] = []

    def click(self, prediction: Mask, number: int | None = None) -> Click:
        """The next click, which joins `clicks`.

        The deepest pixel of all that is missed (a click on the object) or of all that is too much
        (a click outside of it), whichever lies deeper; of equally deep ones the one outside, and
        the first in row-major order. The image's border counts as one of the error's, and a pixel
        that was clicked is no longer one of it. Where nothing is wrong the first pixel of the image
        is clicked, as outside.

        Args:
            prediction: The mask so far, `(H, W)`.
            number: Of this click, where others came before those of `clicks`: a prompt's.
        """
        missed = self._deepest(self._object & ~prediction)
        added = self._deepest(self._rest & prediction)
        inside = bool(missed.squares.max() > added.squares.max())
        error = missed if inside else added
        row, column = error.place(self._jitter, number or len(self.clicks) + 1)
        self.clicks.append(Click(column, row, inside))
        return self.clicks[-1]

    def iou(self, prediction: Mask) -> float:
        """Intersection over union outside void; 1 where there is neither object nor prediction."""
        hit = np.count_nonzero(self._object & prediction)
        union = np.count_nonzero(self._object) + np.count_nonzero(self._rest & prediction)
        return hit / union if union else 1.0

    def _deepest(self, error: Mask) -> "_Error":
        from src.datamodules.depth import squared_depths  # numba, once an object is clicked

        try:
            box = box_of_mask(error)
        except EmptyMaskError:
            return _Error(np.zeros((1, 1), np.int32), Box(0, 0, 0, 0))
        squares = squared_depths(np.ascontiguousarray(error[box.slices]))
        for x, y, _ in self.clicks:
            if box.x_min <= x <= box.x_max and box.y_min <= y <= box.y_max:
                squares[y - box.y_min, x - box.x_min] = 0
        return _Error(squares, box)


class _Error(NamedTuple):
    """Squared depths of an error's pixels within its box; 0 where there was a click."""

    squares: npt.NDArray[np.int32]
    box: Box

    def place(self, jitter: Jitter | None, number: int) -> tuple[int, int]:
        """Row and column of a click on it; of the first pixel of the image if nothing is wrong."""
        deepest = int(self.squares.argmax())
        if self.squares.flat[deepest] == 0:
            return 0, 0
        chosen = deepest if jitter is None else jitter.choose(self.squares, deepest, number)
        row, column = divmod(chosen, self.squares.shape[1])
        return row + self.box.y_min, column + self.box.x_min
