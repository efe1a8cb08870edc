"""Samples as a file holds them, and the two things made of them: colors to see, levels of a mask.

Nothing here knows files. `images.py` decodes them into a `Raster`, so that a network and the
results that are written come from one reading.
"""

from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

# White first: of backdrops that are equally good it is the one that images usually have.
_BACKDROPS = (255, 0, 128)
_NEAR = 64
# Color noise that a JPEG adds to a gray mask stays below this.
_GRAY_TOLERANCE = 32
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}


class KindError(ValueError):
    """Samples that have no certain meaning; the message names the kind, not the file."""


class Raster(NamedTuple):
    """Decoded samples, upright.

    values: Gray `(H, W)` or RGB `(H, W, 3)`; uint8, uint16, or what only a mask may be: float32,
        int32 or uint32. Colors are not premultiplied, and 0 where nothing of them is visible.
    opacity: `(H, W)` in the depth of the values, 0 = transparent; None where all is opaque.
    labels: Indices `(H, W)` of a palette.
    """

    values: np.ndarray
    opacity: np.ndarray | None = None
    labels: np.ndarray | None = None


def raster(
    values: np.ndarray, opacity: np.ndarray | None = None, labels: np.ndarray | None = None
) -> Raster:
    """A raster without an opacity that says nothing, and without hidden colors."""
    if opacity is not None and int(opacity.min()) == np.iinfo(opacity.dtype).max:
        opacity = None
    if opacity is not None:
        values = np.where((opacity if values.ndim == 2 else opacity[..., None]) > 0, values, 0)
        values = values.astype(opacity.dtype)
    return Raster(values, opacity, labels)


def raster_of(image: Image.Image) -> Raster:
    """The samples of a Pillow image, decoded by Pillow; not turned.

    Raises:
        KindError: A mode without a certain meaning.
    """
    labels = np.asarray(image) if image.mode == "P" else None
    if image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.uint16)
        return raster(values, keyed(values, image.info.get("transparency")))
    if image.mode in ("I", "F"):
        return raster(np.asarray(image))
    if image.mode in _PREMULTIPLIED:
        image = image.convert(_PREMULTIPLIED[image.mode])
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layers = np.array(image.convert("RGBA"))
        return raster(layers[..., :3], np.ascontiguousarray(layers[..., 3]), labels)
    if image.mode in ("1", "L"):
        return raster(np.array(image.convert("L")))
    if image.mode in ("P", "RGB", "RGBX", "CMYK", "YCbCr"):
        return raster(np.array(image.convert("RGB")), labels=labels)
    raise KindError(f"pixels of kind {image.mode!r} have no certain 8-bit form; save it as RGB")


def keyed(values: np.ndarray, key: object) -> np.ndarray | None:
    """Opacity of 16-bit gray `(H, W)` in which one level is transparent, as PNG has it."""
    if not isinstance(key, int):
        return None
    return np.where(values == key, 0, 65535).astype(np.uint16)


def colors_of(image: Raster) -> np.ndarray:
    """Colors `(H, W, 3)`, uint8 or uint16.

    Raises:
        KindError: Floats or 32-bit integers, whose full scale nobody knows.
    """
    values = image.values
    if values.dtype not in (np.uint8, np.uint16):
        kind = "F" if values.dtype.kind == "f" else "I"
        raise KindError(
            f"pixels of kind {kind!r} ({values.dtype.itemsize * 8}-bit {_NOUNS[values.dtype.kind]})"
            " have no certain 8-bit form; save it as RGB"
        )
    return cv2.cvtColor(values, cv2.COLOR_GRAY2RGB) if values.ndim == 2 else values


_NOUNS = {"f": "floats", "i": "signed integers", "u": "unsigned integers", "b": "truth values"}


def seen(colors: np.ndarray, opacity: np.ndarray | None, backdrop: int | None = None) -> np.ndarray:
    """What a network sees: uint8 RGB `(H, W, 3)`.

    What is most opaque counts as opaque: an image that is evenly sheer is judged by its colors.

    Args:
        colors: uint8 or uint16 `(H, W, 3)`.
        opacity: `(H, W)` of the same depth, None where all is opaque.
        backdrop: The shade that transparency is composed over; None for `backdrop_of` these.
    """
    pixels = eight_bits(colors)
    if opacity is None:
        return pixels
    if backdrop is None:
        backdrop = backdrop_of(colors, opacity)
    share = _relative(opacity)[..., None].astype(np.uint16)
    mixed = pixels * share + np.uint16(backdrop) * (255 - share) + 127
    return (mixed // 255).astype(np.uint8)


def backdrop_of(colors: np.ndarray, opacity: np.ndarray) -> int:
    """White, black or middle gray: the one from which the fewest visible pixels differ by less
    than a quarter of the range, so that white goods cut out on nothing are not judged on white.

    What is hidden has no say in it. For the arguments see `seen`.
    """
    brightness = cv2.cvtColor(eight_bits(colors), cv2.COLOR_RGB2GRAY)
    alpha = _relative(opacity)
    visible = np.bincount(brightness.reshape(-1), weights=alpha.reshape(-1), minlength=256)
    near = [visible[max(0, shade - _NEAR) : shade + _NEAR].sum() for shade in _BACKDROPS]
    return _BACKDROPS[int(np.argmin(near))]


def _relative(opacity: np.ndarray) -> np.ndarray:
    """uint8, 255 where an image is most opaque."""
    alpha = eight_bits(opacity).astype(np.uint16)
    return (alpha * 255 // max(1, int(alpha.max()))).astype(np.uint8)


def within(mask: np.ndarray, opacity: np.ndarray | None) -> np.ndarray:
    """A uint8 mask `(H, W)` that is nowhere more opaque than the file it was made of.

    The smaller of both, not their product: the network has seen the composed image, so a soft
    edge of the file is in its mask already and would count twice.
    """
    if opacity is None:
        return mask
    # Rounded down, so that it holds in 16 bit as well.
    alpha = (opacity // 257).astype(np.uint8) if opacity.dtype == np.uint16 else opacity
    return np.minimum(mask, alpha)


def levels_of(image: Raster) -> np.ndarray:
    """The gray levels `(H, W)` of a mask in the depth of the file, whatever channel holds them.

    Where only the alpha channel varies (a shape of one color on nothing) it is the mask; else it
    is gray over black.

    Raises:
        KindError: In color, wholly transparent with an image behind, or a label map.
    """
    values, opacity = image.values, image.opacity
    if opacity is not None and int(opacity.min()) < int(opacity.max()):
        visible = values[opacity > 0].reshape(-1, 1 if values.ndim == 2 else values.shape[2])
        unit = 257 if values.dtype == np.uint16 else 1
        spread = visible.max(axis=0).astype(int) - visible.min(axis=0)
        if int(spread.max()) <= _GRAY_TOLERANCE * unit:
            return opacity
    if values.ndim == 3:
        values = _gray(values, image.labels)
    if opacity is None or int(opacity.min()) == int(opacity.max()) > 0:
        return values  # one opacity everywhere says nothing
    top = np.iinfo(opacity.dtype).max
    if int(np.abs(values.astype(int) - opacity).max()) <= _GRAY_TOLERANCE * (top // 255):
        return opacity  # the same mask twice
    return (values.astype(np.uint64) * opacity // top).astype(values.dtype)


def _gray(values: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    apart = int((values.max(axis=2) - values.min(axis=2)).max())
    if apart <= _GRAY_TOLERANCE * (257 if values.dtype == np.uint16 else 1):
        return cv2.cvtColor(values, cv2.COLOR_RGB2GRAY)
    if labels is not None and int(labels.max()) <= 1:
        return labels * np.uint8(255)
    raise KindError(
        "in color, so not a foreground mask (a map of classes or instances? a cut-out"
        " photograph?); save it in gray, 255 = foreground"
    )


def eight_bits(values: np.ndarray) -> np.ndarray:
    """uint16 scaled to uint8; uint8 as it is."""
    if values.dtype == np.uint8:
        return values
    # 65535 = 257 * 255, so full scale stays full scale.
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def turn(pixels: np.ndarray, tag: int) -> np.ndarray:
    """Bring pixels upright; the eight EXIF orientations are flips and quarter turns."""
    if tag in (2, 3):
        pixels = cv2.flip(pixels, 1 if tag == 2 else -1)
    elif tag == 4:
        pixels = cv2.flip(pixels, 0)
    elif tag >= 5:
        pixels = cv2.transpose(pixels)
        if tag in (6, 7, 8):
            pixels = cv2.flip(pixels, {6: 1, 7: -1, 8: 0}[tag])
    return pixels


def turned(image: Raster, tag: int) -> Raster:
    """A raster brought upright."""
    if tag == 1:
        return image
    opacity, labels = (p if p is None else turn(p, tag) for p in (image.opacity, image.labels))
    return Raster(turn(image.values, tag), opacity, labels)
