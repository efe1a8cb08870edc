"""Annotation files as maps of object numbers `(H, W)`, one reader for each way to mark objects."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import scipy.ndimage
from PIL import Image

from src.datamodules.images import ImageError, decode, read_mask

Kind = Literal["ids", "binary", "nonzero", "components", "cityscapes"]

FOREGROUND = 128
VOID = 2  # of binary masks: 0 is the background, 1 the object
# Of Cityscapes: person, rider, car, truck, bus, train, motorcycle, bicycle. Caravans (29) and
# trailers (30) are numbered as well, but are not evaluated.
CITYSCAPES_CLASSES = (24, 25, 26, 27, 28, 31, 32, 33)
OBJECTS_OF_A_CLASS = 1000
_LABEL_MODES = ("P", "L", "1", "I", "I;16", "I;16B")
# Formats that change the numbers they keep.
_LOSSY = ("JPEG", "MPO", "JPEG2000", "WEBP", "AVIF", "HEIF", "JXL")


def read_labels(path: Path) -> np.ndarray:
    """Read a map of instances or classes `(H, W)`, the palette's indices where it has one.

    Raises:
        ImageError: Missing, damaged, in color, or larger than Pillow opens.
    """
    try:
        with Image.open(path) as image:
            require_lossless(image, path)
            if image.mode not in _LABEL_MODES:
                raise ImageError(
                    f"{path}: pixels of kind {image.mode!r} are no labels; save an 8- or 16-bit "
                    "map with a number for each object (PNG)"
                )
            return np.asarray(image)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path}: {error}") from None


def require_lossless(image: Image.Image, path: Path) -> None:
    """Refuse files whose format changes the numbers of pixels: around every object lie others.

    Raises:
        ImageError: JPEG and its like, by what the file is and not by its name.
    """
    compression = str(image.info.get("compression", "")) if image.format == "TIFF" else ""
    if image.format in _LOSSY or "jpeg" in compression or "webp" in compression:
        kind = f"TIFF with {compression}" if compression else image.format
        raise ImageError(
            f"{path}: a map of object numbers in {kind}, which does not keep numbers exactly; "
            "export it again as PNG (a converted copy keeps the wrong numbers)"
        )


def read_binary(path: Path, void_value: int | None = None) -> np.ndarray:
    """1 where a gray mask is at least 128, `VOID` where it has the value that says so.

    Raises:
        ImageError: As `read_mask`; with a `void_value` also a format that changes values.
    """
    mask = read_mask(path)
    labels = (mask >= FOREGROUND).astype(np.uint8)
    if void_value is not None:
        with Image.open(path) as image:  # one value of 256 has a meaning of its own
            require_lossless(image, path)
        labels[mask == void_value] = VOID
    return labels


def read_nonzero(path: Path) -> np.ndarray:
    """1 where any channel is not 0: the objects of a frame, whatever their colors, are one.

    So the interactive field reads DAVIS, COCO-MVal and HQSeg-44K. Transparency says nothing.

    Raises:
        ImageError: Damaged, of several pages, or in a format that does not keep 0 exactly.
    """
    decoded, header = decode(path)
    if header.several:
        raise ImageError(f"{path}: holds several images; a mask is one, so save it alone")
    with Image.open(path) as image:
        require_lossless(image, path)
    lit = decoded.values != 0
    return (lit.any(axis=2) if lit.ndim == 3 else lit).astype(np.uint8)


def read_components(path: Path) -> np.ndarray:
    """1 … N on the 4-connected parts of a gray mask, in the order of their first rows."""
    return components(read_binary(path))


def components(mask: np.ndarray) -> np.ndarray:
    """1 … N, int32, on the parts of a mask `(H, W)` that are connected by their sides."""
    numbered, _ = scipy.ndimage.label(mask)
    return np.asarray(numbered)


def read_cityscapes(path: Path) -> np.ndarray:
    """Of a map `*_gtFine_instanceIds.png`: the numbers of objects, 0 elsewhere.

    An object of class `c` has the number `1000 c + n`; smaller numbers are regions and groups of
    objects that nobody told apart.

    Source: github.com/mcordts/cityscapesScripts.
    """
    labels = read_labels(path)
    return np.where(np.isin(labels // OBJECTS_OF_A_CLASS, CITYSCAPES_CLASSES), labels, 0)


READERS: dict[Kind, Callable[[Path], np.ndarray]] = {
    "ids": read_labels,
    "binary": read_binary,
    "nonzero": read_nonzero,
    "components": read_components,
    "cityscapes": read_cityscapes,
}
SINGLE = ("binary", "nonzero")  # one object a file, which bears the file's name


def label_areas(labels: np.ndarray, void: int | None = None) -> dict[int, int]:
    """Pixels of each label, without the background 0 and without `void`."""
    values, counts = np.unique(labels, return_counts=True)
    areas = dict(zip(values.tolist(), counts.tolist(), strict=True))
    return {int(label): area for label, area in areas.items() if label not in (0, void)}


def as_mask(pixels: np.ndarray) -> np.ndarray:
    """Booleans as uint8, 0 and 255."""
    return pixels.astype(np.uint8) * np.uint8(255)
