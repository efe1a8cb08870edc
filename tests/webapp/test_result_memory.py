"""Results stay within bounds, and what leaves is made again."""

import numpy as np
import pytest

from src.errors import UserError
from src.webapp.result_memory import ResultKey, ResultMemory


def key(image: str, number: int = 0, what: str = "mask") -> ResultKey:
    return ResultKey(image, number, what)


def never() -> bytes:
    raise AssertionError("it should have been kept")


def test_what_is_kept_is_not_made_again() -> None:
    memory = ResultMemory(100)
    pixels = np.zeros((5, 4), np.uint8)
    assert memory.get(key("a"), lambda: pixels) is pixels
    assert memory.get(key("a", what="png"), lambda: b"png") == b"png"
    assert memory.get(key("a"), never) is pixels
    assert memory.get(key("a", what="png"), never) == b"png"
    assert memory.size == 23


def test_what_was_not_asked_for_longest_leaves_first() -> None:
    memory = ResultMemory(100, 100)
    for image in "abc":
        memory.put(key(image), bytes(40 if image != "c" else 20))
    memory.get(key("a"), never)
    memory.put(key("d"), bytes(30))
    assert memory.size == 90
    assert memory.get(key("b"), lambda: b"again") == b"again"
    for image in "acd":
        memory.get(key(image), never)


def test_one_image_drives_out_its_own_results_only() -> None:
    memory = ResultMemory(100)
    memory.put(key("other"), bytes(40))
    for number in range(1, 30):
        memory.put(key("a", number), bytes(20))
    assert memory.size == 80
    memory.get(key("other"), never)
    assert memory.get(key("a", 27), lambda: bytes(20)) == bytes(20)
    memory.get(key("a", 29), never)


def test_another_result_of_a_key_takes_its_place() -> None:
    memory = ResultMemory(100)
    for size in (10, 30, 20):
        memory.put(key("a"), bytes(size))
    assert memory.size == 20
    assert len(memory.get(key("a"), never)) == 20


def test_a_result_beyond_the_bounds_is_made_and_not_kept() -> None:
    memory = ResultMemory(100)
    memory.put(key("other"), bytes(40))
    assert len(memory.get(key("a"), lambda: bytes(51))) == 51
    assert memory.size == 40
    memory.put(key("other"), bytes(51))  # what it was is not what it is
    assert memory.size == 0


def test_an_object_or_an_image_is_forgotten_alone() -> None:
    memory = ResultMemory(1000)
    for image in "ab":
        for number in (1, 2):
            for what in ("mask", "rgba"):
                memory.put(key(image, number, what), bytes(10))
    memory.forget("a", 1)
    assert memory.size == 60
    memory.forget("a")
    assert memory.size == 40
    memory.get(key("b", 1), never)
    memory.clear()
    assert memory.size == 0


@pytest.mark.parametrize("most", [0, -1])
def test_a_bound_is_above_nothing(most: int) -> None:
    with pytest.raises(UserError, match="max_memory_mb"):
        ResultMemory(most)
