"""Twins are found by their bytes, or by a look that differs in a few bits."""

from pathlib import Path

import numpy as np
import pytest

from src.datamodules.pair_inspection import ImageStats, duplicates_between, duplicates_within
from src.datamodules.pairs import ImageMaskPair


def fact(name: str, digest: str, bits: int = 0, seed: int = 0) -> ImageStats:
    """Facts of an image whose look differs in `bits` from that of its seed."""
    look = np.random.default_rng(seed).integers(0, 256, 32, dtype=np.uint8)
    flipped = np.unpackbits(look)
    flipped[:bits] ^= 1
    files = ImageMaskPair(name, Path(f"{name}.jpg"), Path(f"{name}.png"))
    return ImageStats(files, 9, 9, 0.5, 0.0, digest, np.packbits(flipped), None)


def names(twins: list) -> list[tuple[str, str, bool]]:
    return [(twin.one.pair.name, twin.other.pair.name, twin.same_file) for twin in twins]


def test_the_same_file_in_one_set_is_told_with_its_first() -> None:
    facts = [fact("a", "x"), fact("b", "y"), fact("c", "x"), fact("d", "x")]
    assert names(duplicates_within(facts)) == [("a", "c", True), ("a", "d", True)]


def test_nearly_equal_pictures_of_one_set_are_no_twins() -> None:
    assert duplicates_within([fact("a", "x"), fact("b", "y")]) == []
    assert duplicates_within([]) == []


@pytest.mark.parametrize(("bits", "found"), [(0, True), (8, True), (9, False), (128, False)])
def test_a_look_may_differ_in_few_bits(bits: int, found: bool) -> None:
    twins = duplicates_between([fact("a", "x")], [fact("b", "y", bits)])
    assert names(twins) == ([("a", "b", False)] if found else [])


def test_the_same_bytes_count_more_than_a_nearer_look() -> None:
    train = [fact("near", "x"), fact("same", "y", bits=40)]
    assert names(duplicates_between(train, [fact("b", "y")])) == [("same", "b", True)]


def test_each_has_its_nearest_twin() -> None:
    train = [fact("a", "1", 4), fact("b", "2", 2), fact("c", "3", seed=1)]
    others = [fact("x", "4", seed=2), fact("y", "5"), fact("z", "6", 3, seed=1)]
    assert names(duplicates_between(train, others)) == [("b", "y", False), ("c", "z", False)]


def test_nothing_has_no_twins() -> None:
    assert (
        duplicates_between([], [fact("a", "x")]) == duplicates_between([fact("a", "x")], []) == []
    )
