"""What one image and its mask hold, what a whole set holds, and which images occur twice."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from src.datamodules.images import ImageError, judge_mask, read_header, read_image
from src.datamodules.mask_levels import Scale, mask_fault
from src.datamodules.pairs import ImageMaskPair
from src.errors import file_fault
from src.hashing import bytes_hash

# Gradient signs on a 16 × 16 grid: 256 bits that survive scaling and recompression.
_GRID = 16


UNWRITTEN = "unwritten"  # key of a report: why files of it are not there
# Of 256 bits; recompression and scaling move up to about this many, other images some hundred.
_NEAR_BITS = 8


@contextmanager
def noted(report: dict[str, Any], path: Path) -> Iterator[None]:
    """Note in a report of a check that a file of it could not be written, and go on."""
    try:
        yield
    except OSError as error:
        report.setdefault(UNWRITTEN, []).append(file_fault(error, path) or f"{path}: {error}")


@dataclass(frozen=True)
class ImageStats:
    """What is known of one pair after both files were decoded.

    Args:
        pair: The files.
        height: Of image and mask.
        width: Of image and mask.
        foreground: Share of the mask's pixels at 128 or above.
        gray: Share of the mask's pixels that are neither 0 nor 255.
        digest: Hash of the image file's bytes.
        look: 32 bytes that nearly equal images have in common, see `duplicates.py`.
        fault: What makes the mask unfit to learn from, if anything.
        scale: What the mask's levels say of their full scale.
        several: Whether the image file holds further images, which are not read.
    """

    pair: ImageMaskPair
    height: int
    width: int
    foreground: float
    gray: float
    digest: str
    look: np.ndarray
    fault: str | None
    scale: Scale | None = None
    several: bool = False


def inspect(pair: ImageMaskPair, allow_empty: bool = False) -> ImageStats:
    """Decode both files of a pair completely.

    Raises:
        ImageError: One of them cannot be decoded or is of an unusable kind.
    """
    mask, scale, fault = judge_mask(pair.mask)
    header = read_header(pair.image)
    height, width = header.size
    # A JPEG is decoded at a fraction of its size, but to its last byte.
    small = read_image(pair.image, at_least=(8 * _GRID, 8 * _GRID))
    return ImageStats(
        pair,
        height,
        width,
        foreground=float((mask >= 128).mean()),
        gray=float(((mask > 0) & (mask < 255)).mean()),
        digest=bytes_hash(pair.image.read_bytes()),
        look=_look(small),
        fault=fault or mask_fault(mask, allow_empty),
        scale=scale,
        several=header.several,
    )


def inspect_or_complain(pair: ImageMaskPair, allow_empty: bool = False) -> ImageStats | str:
    """Like `inspect`, with the complaint in place of an exception."""
    try:
        return inspect(pair, allow_empty)
    except ImageError as error:
        return str(error)


def summarize(facts: Sequence[ImageStats]) -> dict[str, Any]:
    """Sizes and foreground of a set, as plain values."""
    if not facts:
        return {"images": 0}
    megapixels = np.array([fact.height * fact.width for fact in facts]) / 1e6
    shares = np.array([fact.foreground for fact in facts])
    return {
        "images": len(facts),
        "megapixels": spread(megapixels),
        "foreground": spread(shares),
        "foreground_histogram": np.histogram(shares, bins=10, range=(0, 1))[0].tolist(),
        "grey_mask_pixels": float(np.mean([fact.gray for fact in facts])),
    }


def _look(image: np.ndarray) -> np.ndarray:
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    grid = cv2.resize(gray, (_GRID + 1, _GRID), interpolation=cv2.INTER_AREA).astype(np.int16)
    return np.packbits(grid[:, 1:] > grid[:, :-1])


def spread(values: np.ndarray) -> dict[str, float]:
    """Smallest, median and largest of some values, at least one."""
    return {
        "smallest": float(values.min()),
        "median": float(np.median(values)),
        "largest": float(values.max()),
    }


class DuplicatePair(NamedTuple):
    """Two images that are one; `same_file` where every byte agrees."""

    one: ImageStats
    other: ImageStats
    same_file: bool


def duplicates_within(facts: Sequence[ImageStats]) -> list[DuplicatePair]:
    """The same files under different names in one set."""
    first: dict[str, ImageStats] = {}
    twins = []
    for fact in facts:
        if fact.digest in first:
            twins.append(DuplicatePair(first[fact.digest], fact, same_file=True))
        else:
            first[fact.digest] = fact
    return twins


def duplicates_between(
    facts: Sequence[ImageStats], others: Sequence[ImageStats]
) -> list[DuplicatePair]:
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
            twins.append(DuplicatePair(by_digest[other.digest], other, same_file=True))
        elif match.distance <= _NEAR_BITS:
            twins.append(DuplicatePair(facts[match.trainIdx], other, same_file=False))
    return twins
