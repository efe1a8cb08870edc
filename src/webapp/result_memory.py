"""Masks and finished files in memory, within bounds; what had to leave can be made again."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import NamedTuple, TypeVar

import numpy as np

from src.errors import UserError

Result = TypeVar("Result", bytes, np.ndarray)


class ResultKey(NamedTuple):
    """A result, by all that it follows from, so that none is ever out of date.

    image: Of which image.
    number: Of which object; 0 for the image as a whole.
    what: The kind of result.
    edits: What was done: clicks, or windows.
    """

    image: str
    number: int
    what: str
    edits: Hashable = None


class ResultMemory:
    """Results by key; where they take too much, those that were not asked for longest leave.

    Everything in it can be made again: nobody loses more than time.

    Args:
        most: Bytes of all results.
        most_of_one: Bytes of one image's, so that nobody's many objects drive out all others'
            results; None for half of `most`.

    Raises:
        UserError: A bound that is not above 0.
    """

    def __init__(self, most: int, most_of_one: int | None = None) -> None:
        if most <= 0:
            raise UserError(f"max_memory_mb is {most / 1e6:g}; give a number above 0")
        self.most = most
        self.most_of_one = most // 2 if most_of_one is None else most_of_one
        self._kept: OrderedDict[ResultKey, bytes | np.ndarray] = OrderedDict()
        self._sizes: dict[str, int] = {}

    @property
    def size(self) -> int:
        """Bytes of all that is kept."""
        return sum(self._sizes.values())

    def get(self, key: ResultKey, make: Callable[[], Result]) -> Result:
        """A result, made by `make` unless it is kept from an earlier call."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]  # type: ignore[return-value]  # what `make` of this key gives
        result = make()
        self.put(key, result)
        return result

    def put(self, key: ResultKey, result: bytes | np.ndarray) -> None:
        """Keep a result, in place of an earlier one; one beyond the bounds is not kept at all."""
        self._drop(key)
        size = _size(result)
        if size > min(self.most, self.most_of_one):
            return
        self._make_room(self.most_of_one - size, lambda: self._sizes.get(key.image, 0), key.image)
        self._make_room(self.most - size, lambda: self.size)
        self._kept[key] = result
        self._sizes[key.image] = self._sizes.get(key.image, 0) + size

    def forget(self, image: str, number: int | None = None) -> None:
        """Forget what was made of one of an image's objects, or of the image altogether."""
        for key in list(self._of(image)):
            if number is None or key.number == number:
                self._drop(key)

    def clear(self) -> None:
        self._kept.clear()
        self._sizes.clear()

    def _make_room(self, most: int, size: Callable[[], int], image: str | None = None) -> None:
        """Drop the oldest results, of one image or of all, until `size` is at most `most`."""
        while size() > most:
            self._drop(next(iter(self._kept) if image is None else self._of(image)))

    def _of(self, image: str) -> Iterator[ResultKey]:
        return (key for key in self._kept if key.image == image)

    def _drop(self, key: ResultKey) -> None:
        if key in self._kept:
            self._sizes[key.image] -= _size(self._kept.pop(key))
            if not self._sizes[key.image]:
                del self._sizes[key.image]


def _size(result: bytes | np.ndarray) -> int:
    return len(result) if isinstance(result, bytes) else result.nbytes
