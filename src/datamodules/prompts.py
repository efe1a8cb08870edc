"""The prompts of the click-guided papers: which points, drawn how, in which crop.

Training and evaluation simulate the points from masks, a session takes them from its user; what
becomes of them is decided here for both.
"""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Literal, Protocol

import numpy as np
from annotated_types import Ge

from .clicks import (
    MARGIN,
    extreme_points,
    extreme_prompt,
    inside_outside_points,
    inside_outside_prompt,
)

Kind = Literal["extreme_points", "inside_outside"]


class Prompts(Protocol):
    """How a paper's user points at an object, and how large the crop around it is."""

    kind: ClassVar[Kind]

    @property
    def relax(self) -> int:
        """Pixels of the image by which the crop exceeds the object's tight box on every side."""
        ...

    def draw(self, mask: np.ndarray, rng: np.random.Generator, training: bool) -> np.ndarray:
        """Heat maps `(K, h, w)` in 0..255 for a mask `(h, w)` of the network's size."""
        ...

    def heat(self, points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Heat maps `(K, h, w)` in 0..255 of points `(N, 2)` in a crop of `size` (h, w)."""
        ...


@dataclass(frozen=True)
class ExtremePoints:
    """DEXTR: the four extreme points in one map.

    Args:
        relax: Pixels of the image by which the crop exceeds the tight box on every side.
        jitter: How far from its side a point may lie in training, in pixels of the crop.
    """

    kind: ClassVar[Kind] = "extreme_points"
    relax: Annotated[int, Ge(0)] = 50
    jitter: Annotated[int, Ge(0)] = 5

    def draw(self, mask: np.ndarray, rng: np.random.Generator, training: bool) -> np.ndarray:
        points = extreme_points(mask, rng, self.jitter if training else 0)
        return self.heat(points, (mask.shape[0], mask.shape[1]))

    def heat(self, points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        return extreme_prompt(points, size)


@dataclass(frozen=True)
class InsideOutsidePoints:
    """IOG: a click deep inside, and the four corners of the box as clicks outside.

    Args:
        relax: Pixels of the image by which the crop exceeds the tight box on every side.
        margin: How far the corners lie outside of the tight box, in pixels of the crop.
    """

    kind: ClassVar[Kind] = "inside_outside"
    relax: Annotated[int, Ge(0)] = 30
    margin: Annotated[int, Ge(0)] = MARGIN

    def draw(self, mask: np.ndarray, rng: np.random.Generator, training: bool) -> np.ndarray:
        points = inside_outside_points(mask, rng, self.margin)
        return self.heat(points, (mask.shape[0], mask.shape[1]))

    def heat(self, points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        return inside_outside_prompt(points, size)


KINDS: dict[str, type[ExtremePoints] | type[InsideOutsidePoints]] = {
    made.kind: made for made in (ExtremePoints, InsideOutsidePoints)
}


def to_dict(prompts: Prompts) -> dict[str, Any]:
    """Plain values, for checkpoints; `prompts_of` reads them."""
    return {"kind": prompts.kind, **asdict(prompts)}  # type: ignore[call-overload]


def prompts_of(kind: str, **values: Any) -> Prompts:
    """The prompts that `to_dict` wrote down.

    Raises:
        ValueError: No such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"prompts of the kind {kind!r} are unknown; known: {', '.join(KINDS)}")
    return KINDS[kind](**values)
