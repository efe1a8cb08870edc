"""What `finecut check` asks of a set, whatever it holds: its samples, read one by one, and remarks.

There is one kind for each thing that sets hold; `check.py` reads all of them in one way.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

import numpy as np


class Stats(Protocol):
    """What is known of any sample after it was read completely.

    Attributes:
        height: Of its image.
        width: Of its image.
        foreground: Share of the image's pixels.
    """

    @property
    def height(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def foreground(self) -> float: ...


Found = TypeVar("Found", bound=Stats)


class Remarks(NamedTuple):
    """Sentences about a set: problems make the check fail, warnings do not."""

    problems: list[str]
    warnings: list[str]


class Inspection(ABC, Generic[Found]):
    """One set of a data config, to be read completely.

    Args:
        split: `train`, `val` or `test`.
        name: Of the set; that of the split for a set without one.

    Attributes:
        label: What reports call the set.
        expected: Samples of the released set; None where that is not known.
        counted: What the report counts the samples as.
        noun: What the printed lines call them.
    """

    counted: ClassVar[str]
    noun: ClassVar[str]
    expected: int | None = None

    def __init__(self, split: str, name: str) -> None:
        self.split = split
        self.label = name if name == split else f"{split}/{name}"

    @abstractmethod
    def open(self) -> list[str]:
        """List the samples that can be read, and return what is wrong with the others.

        Raises:
            DataError: Nothing can be listed.
        """

    @abstractmethod
    def __len__(self) -> int:
        """Samples that were listed."""

    @abstractmethod
    def inspect(self, item: int) -> Found:
        """Read a sample to its last byte; called by several threads.

        Raises:
            UserError: It cannot be read, or is nothing to learn from.
        """

    @abstractmethod
    def image_and_mask(self, found: Found, side: int) -> tuple[np.ndarray, np.ndarray]:
        """An inspected sample for a contact sheet: uint8 `(h, w, 3)` and `(H, W)`.

        The longer side of the image may be anything from `side` pixels to its own.
        """

    def judge(self, found: Sequence[Found]) -> Remarks:
        """What the samples say beside each other."""
        return Remarks([], [])

    def compare(self, found: Sequence[Found], training: Sequence[Any]) -> Remarks:
        """What the samples say beside those that the same config trains on."""
        return Remarks([], [])

    def summarize(self, found: Sequence[Found]) -> dict[str, Any]:
        """Sizes and foreground of the set, as plain values."""
        if not found:
            return {self.counted: 0}
        shares = np.array([one.foreground for one in found])
        return {
            self.counted: len(found),
            "megapixels": spread(np.array([one.height * one.width for one in found]) / 1e6),
            "foreground": spread(shares),
            "foreground_histogram": np.histogram(shares, bins=10, range=(0, 1))[0].tolist(),
        }


def spread(values: np.ndarray) -> dict[str, float]:
    """Smallest, median and largest of some values, at least one."""
    return {
        "smallest": float(values.min()),
        "median": float(np.median(values)),
        "largest": float(values.max()),
    }
