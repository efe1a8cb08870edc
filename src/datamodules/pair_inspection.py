"""What an image and its mask hold, what a set of them lacks, and which images occur twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np

from src.datamodules.images import judge_mask, read_header, read_image
from src.datamodules.inspection import Inspection, Remarks
from src.datamodules.mask_levels import ALL_BLACK, Scale, mask_fault, mixed_scales
from src.datamodules.pairs import ImageMaskPair, scan_pairs
from src.datamodules.sources import Source
from src.hashing import bytes_hash

# Gradient signs on a 16 × 16 grid: 256 bits that survive scaling and recompression.
_GRID = 16


# Of 256 bits; recompression and scaling move up to about this many, other images some hundred.
_NEAR_BITS = 8


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
        look: 32 bytes that nearly equal images have in common.
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


def inspect(pair: ImageMaskPair, allow_empty: bool = False, soft: bool = False) -> ImageStats:
    """Decode both files of a pair completely; see `mask_fault` for what is accepted.

    Raises:
        ImageError: One of them cannot be decoded or is of an unusable kind.
    """
    in_image, in_mask = pair.contents()
    mask, scale, fault = judge_mask(pair.mask, soft=soft, content=in_mask)
    header = read_header(pair.image, in_image)
    height, width = header.size
    # A JPEG is decoded at a fraction of its size, but to its last byte.
    small = read_image(pair.image, (8 * _GRID, 8 * _GRID), in_image)
    return ImageStats(
        pair,
        height,
        width,
        foreground=float((mask >= 128).mean()),
        gray=float(((mask > 0) & (mask < 255)).mean()),
        digest=bytes_hash(pair.image.read_bytes() if in_image is None else in_image),
        look=_look(small),
        fault=fault or mask_fault(mask, allow_empty, soft),
        scale=scale,
        several=header.several,
    )


def _look(image: np.ndarray) -> np.ndarray:
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    grid = cv2.resize(gray, (_GRID + 1, _GRID), interpolation=cv2.INTER_AREA).astype(np.int16)
    return np.packbits(grid[:, 1:] > grid[:, :-1])


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


class PairInspection(Inspection[ImageStats]):
    """A set of image and mask files.

    Args:
        split: See `Inspection`.
        name: See `Inspection`.
        root: Folder that the source's paths start from; None for the working folder.
        source: Where the files are.
        allow_empty: Accept masks without any foreground.
        soft: Masks are mattes.
    """

    counted, noun = "images", "pairs"

    def __init__(
        self,
        split: str,
        name: str,
        root: str | None,
        source: Source,
        allow_empty: bool = False,
        soft: bool = False,
    ) -> None:
        super().__init__(split, name)
        self.root, self.source = root, source
        self.allow_empty, self.soft = allow_empty, soft
        self.name, self.expected = name, source.count
        self.pairs: list[ImageMaskPair] = []

    def open(self) -> list[str]:
        self.pairs, problems = scan_pairs(self.root, self.source, self.name)
        return problems

    def __len__(self) -> int:
        return len(self.pairs)

    def inspect(self, item: int) -> ImageStats:
        return inspect(self.pairs[item], self.allow_empty, self.soft)

    def image_and_mask(self, found: ImageStats, side: int) -> tuple[np.ndarray, np.ndarray]:
        scale = side / max(found.height, found.width)
        size = max(1, round(found.height * scale)), max(1, round(found.width * scale))
        image, mask = found.pair.contents()
        return (
            read_image(found.pair.image, size, image),
            judge_mask(found.pair.mask, content=mask).mask,
        )

    def judge(self, found: Sequence[ImageStats]) -> Remarks:
        problems = []
        warnings = [
            f"{twin.other.pair.image}: the same file as {twin.one.pair.image}"
            for twin in duplicates_within(found)
        ]
        warnings += [
            f"{fact.pair.image}: holds several images; only the first is read"
            for fact in found
            if fact.several
        ]
        scales = mixed_scales([self.name] * len(found), [fact.scale for fact in found])
        for fact, mixed in zip(found, scales, strict=True):
            if mixed is not None:
                problems.append(f"{fact.pair.mask}: {mixed}")
            if fact.fault is not None:
                # A test image may well show nothing; the metrics have a rule for it.
                mild = self.split == "test" and fact.fault.startswith(ALL_BLACK)
                (warnings if mild else problems).append(f"{fact.pair.mask}: {fact.fault}")
        return Remarks(problems, warnings)

    def compare(self, found: Sequence[ImageStats], training: Sequence[Any]) -> Remarks:
        known = [fact for fact in training if isinstance(fact, ImageStats)]
        remarks = Remarks([], [])
        for twin in duplicates_between(known, found):
            image, of = twin.other.pair.image, twin.one.pair.image
            if twin.same_file:
                remarks.problems.append(f"{image}: is also trained on, {of}")
            else:
                remarks.warnings.append(f"{image}: looks like {of}, which is trained on")
        return remarks

    def summarize(self, found: Sequence[ImageStats]) -> dict[str, Any]:
        summary = super().summarize(found)
        if found:
            summary["grey_mask_pixels"] = float(np.mean([fact.gray for fact in found]))
        return summary
