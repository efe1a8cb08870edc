"""What was done to an open image: plain values, from which all its masks follow.

Every change makes a new value, so that undoing is going back to the one before.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from src.errors import UserError
from src.processing.crop import Box

Mode = Literal["add", "subtract", "intersect"]
MOST_WINDOWS = 50  # each needs the mask before it, so they are made again one after the other
MOST_UNDONE = 200


class HistoryError(UserError):
    """Nothing to undo, or to do again."""


class TooManyError(UserError):
    """More edits of one image than are kept."""


@dataclass(frozen=True)
class Clicks:
    """What was pointed at: see `Segmenter.predict`. Coordinates are the upright image's."""

    points: Sequence[tuple[float, float]]
    labels: Sequence[int] | None = None
    box: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:  # what a request brings in lists is a key of results
        object.__setattr__(self, "points", tuple((x, y) for x, y in self.points))
        for name in ("labels", "box"):
            given = getattr(self, name)
            object.__setattr__(self, name, None if given is None else tuple(given))

    def to_dict(self) -> dict[str, Any]:
        return {"points": self.points, "labels": self.labels, "box": self.box}


@dataclass(frozen=True)
class Part:
    """Clicks whose mask joins what their object is without them."""

    mode: Mode
    clicks: Clicks

    def to_dict(self) -> dict[str, Any]:
        return {"mode": self.mode, **self.clicks.to_dict()}


@dataclass(frozen=True)
class PointedObject:
    """An object that is pointed at.

    clicks: What it begins with; None where `draft` is all there is.
    combine: What is added to that, taken away from it or kept of it, in order.
    draft: Clicks of which no mask can be made yet, kept for whoever comes back to them; their mode
        is None where the object begins with them.
    """

    clicks: Clicks | None = None
    combine: tuple[Part, ...] = ()
    draft: tuple[Mode | None, Clicks] | None = None

    def to_dict(self) -> dict[str, Any]:
        """As a request brings it."""
        first = {} if self.clicks is None else self.clicks.to_dict()
        more: dict[str, Any] = {"combine": [part.to_dict() for part in self.combine]}
        if self.draft is not None:
            mode, clicks = self.draft
            more["draft"] = {"mode": mode, **clicks.to_dict()}
        return first | more


@dataclass(frozen=True)
class Sharpening:
    """A window that was read again, see `Segmenter.sharpen`."""

    window: Box
    overrule: bool = False


@dataclass(frozen=True)
class Edits:
    """All that was done to an image.

    objects: By their numbers, for a model with clicks.
    windows: In the order in which they were sharpened, for one without.
    """

    objects: Mapping[int, PointedObject] = field(default_factory=dict)
    windows: tuple[Sharpening, ...] = ()

    def with_object(self, number: int, pointed: PointedObject) -> "Edits":
        return replace(self, objects={**self.objects, number: pointed})

    def without_object(self, number: int) -> "Edits":
        return replace(self, objects={n: one for n, one in self.objects.items() if n != number})

    def with_window(self, sharpening: Sharpening) -> "Edits":
        """With one window more.

        Raises:
            TooManyError: There are `MOST_WINDOWS`.
        """
        if len(self.windows) >= MOST_WINDOWS:
            raise TooManyError(
                f"{MOST_WINDOWS} windows of this image are sharpened, the limit; undo some first"
            )
        return replace(self, windows=(*self.windows, sharpening))


class History:
    """Edits, and those before and after them."""

    def __init__(self) -> None:
        self.now = Edits()
        self._before: deque[Edits] = deque(maxlen=MOST_UNDONE)
        self._after: list[Edits] = []

    @property
    def counts(self) -> dict[str, int]:
        """How often there is something to undo, and to redo."""
        return {"undo": len(self._before), "redo": len(self._after)}

    def change(self, edits: Edits) -> None:
        """What is done now; what was undone before cannot be done again after it."""
        if edits == self.now:
            return
        self._before.append(self.now)
        self._after.clear()
        self.now = edits

    def undo(self) -> None:
        """Go back by a change.

        Raises:
            HistoryError: There is none.
        """
        if not self._before:
            raise HistoryError("There is nothing to undo.")
        self._after.append(self.now)
        self.now = self._before.pop()

    def redo(self) -> None:
        """Go forth by a change that was undone.

        Raises:
            HistoryError: There is none.
        """
        if not self._after:
            raise HistoryError("There is nothing to do again.")
        self._before.append(self.now)
        self.now = self._after.pop()


def combined(first: np.ndarray, mode: Mode, other: np.ndarray) -> np.ndarray:
    """Two soft masks, uint8 `(H, W)`, as one: the larger, the smaller, or what the other leaves.

    Seen as foreground from 128 on, these are the union, the intersection and the difference.
    """
    if mode == "add":
        return np.maximum(first, other)
    return np.minimum(first, other if mode == "intersect" else 255 - other)
