"""Images that occur twice: the same file, or nearly the same picture in another file."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from .inspection import Facts

# Of 256 bits; recompression and scaling move up to about this many, other pictures some hundred.
_NEAR_BITS = 8


class Twin(NamedTuple):
    """Two images that are one; `same_file` where every byte agrees."""

    one: Facts
    other: Facts
    same_file: bool


def twins_within(facts: Sequence[Facts]) -> list[Twin]:
    """The same files under different names in one set."""
    first: dict[str, Facts] = {}
    twins = []
    for fact in facts:
        if fact.digest in first:
            twins.append(Twin(first[fact.digest], fact, same_file=True))
        else:
            first[fact.digest] = fact
    return twins


def twins_between(facts: Sequence[Facts], others: Sequence[Facts]) -> list[Twin]:
    """For each image of `others` its twin in `facts`, if it has one."""
    if not facts or not others:
        return []
    by_digest = {fact.digest: fact for fact in facts}
    looks = np.stack([fact.look for fact in facts])
    matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
    nearest = matcher.match(np.stack([other.look for other in others]), looks)
    twins = []
    for match in nearest:
        other = others[match.queryIdx]
        if other.digest in by_digest:
            twins.append(Twin(by_digest[other.digest], other, same_file=True))
        elif match.distance <= _NEAR_BITS:
            twins.append(Twin(facts[match.trainIdx], other, same_file=False))
    return twins
