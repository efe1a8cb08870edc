"""What can be made of an image and its mask: mask, cutout, new background, overlay, drawing."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import ImageColor

from src.datamodules.images import read_image
from src.datamodules.raster import within
from src.errors import CommandError, UserError
from src.processing.foreground import Method, foreground_colors, weighted_blur

_BLUR = 0.02  # of the shorter side
_TINT = np.array([0.0, 0.75, 0.35], dtype=np.float32)
_NAMED = {"green": (0, 177, 64)}  # the green of a studio's screen, not CSS's
_WORDS = "mask, rgba, white, green, #rrggbb, blur, overlay, composite, or an image's path"


class Cutout:
    """A photo beside its mask.

    Args:
        colors: uint8 or uint16 RGB `(H, W, 3)`.
        mask: uint8 `(H, W)`.
        method: How the foreground's own colors behind soft edges are estimated; None: they keep
            what shines through from the old background.
        opacity: `(H, W)` of the photo, in the depth of the colors; None where all is opaque. The
            mask is limited by it, see `raster.within`.
    """

    def __init__(
        self,
        colors: np.ndarray,
        mask: np.ndarray,
        *,
        method: Method | None = "fast",
        opacity: np.ndarray | None = None,
    ) -> None:
        self.colors, self.method, self.opacity = colors, method, opacity
        self.mask = within(mask, opacity)

    @cached_property
    def image(self) -> np.ndarray:
        """float32 `(H, W, 3)` in [0, 1]."""
        return self.colors.astype(np.float32) / np.iinfo(self.colors.dtype).max

    @cached_property
    def alpha(self) -> np.ndarray:
        """float32 `(H, W, 1)` in [0, 1]."""
        return (self.mask.astype(np.float32) / 255)[..., None]

    @cached_property
    def foreground(self) -> np.ndarray:
        """float32 `(H, W, 3)` in [0, 1]."""
        if self.method is None:
            return self.image
        found = foreground_colors(
            self.image,
            self.coverage[..., 0],
            None if self.visible is None else self.visible[..., 0],
            self.method,
        )
        if self.method == "fast":
            return found
        most = np.iinfo(self.colors.dtype).max  # the authors cut off what 8 bit do not hold
        return np.floor(found * np.float32(most)) / np.float32(most)

    @cached_property
    def visible(self) -> np.ndarray | None:
        """The photo's own opacity, float32 `(H, W, 1)` in [0, 1]; None where all is opaque."""
        if self.opacity is None:
            return None
        return (self.opacity.astype(np.float32) / np.iinfo(self.opacity.dtype).max)[..., None]

    @cached_property
    def coverage(self) -> np.ndarray:
        """How much of what is visible is foreground, float32 `(H, W, 1)` in [0, 1]."""
        if self.opacity is None:
            return self.alpha
        whole = within(np.full_like(self.mask, 255), self.opacity).astype(np.float32)
        return self.mask[..., None] / np.maximum(whole, 1)[..., None]

    def over(self, background: np.ndarray) -> np.ndarray:
        """The foreground over float colors `(H, W, 3)`, or over one color."""
        return self.alpha * self.foreground + (1 - self.alpha) * background

    def kept(self, values: np.ndarray) -> np.ndarray:
        """Floats `(H, W, 3)` in the depth of the photo, as transparent as the photo itself."""
        colors = self.quantized(values)
        return colors if self.opacity is None else np.dstack([colors, self.opacity])

    def quantized(self, values: np.ndarray) -> np.ndarray:
        """Floats in [0, 1] in the depth of the photo."""
        most = np.iinfo(self.colors.dtype).max
        return (values * most + 0.5).clip(0, most).astype(self.colors.dtype)


def binary(mask: np.ndarray, threshold: float) -> np.ndarray:
    """255 where a uint8 mask reaches the threshold, a level from 0 to 1; else 0."""
    return np.where(mask >= threshold * 255, np.uint8(255), np.uint8(0))


def inverted(mask: np.ndarray, opacity: np.ndarray | None) -> np.ndarray:
    """What is visible and not in a mask `(H, W)`: the background in place of the foreground.

    What is transparent in the file is neither, so it stays out of both.
    """
    visible = within(np.full_like(mask, 255), opacity)
    return visible - within(mask, opacity)


class OutputType(NamedTuple):
    """A kind of image: its short name, whether it is transparent, and how it is made."""

    name: str
    render: Callable[[Cutout], np.ndarray]
    alpha: bool = False


def parse_outputs(
    wanted: str | Sequence[str],
    *,
    sigma: float = 2.0,
    opacity: float = 0.5,
    threshold: float | None = None,
) -> list[OutputType]:
    """The outputs of one type or several; see the module for the words.

    Args:
        wanted: Words such as `rgba`, `#ff8800` or `beach.jpg`.
        sigma: Blur of the photo under a `composite`.
        opacity: Of the blurred photo in a `composite`.
        threshold: Makes a `mask` of two levels, also where the photo is half transparent.

    Raises:
        UserError: An unknown word, or two of one name.
    """
    words = [wanted] if isinstance(wanted, str) else [str(word) for word in wanted]
    if not words:
        raise CommandError(f"type= is empty; choose one or several of {_WORDS}")
    outputs = [_parse(word, sigma, opacity, threshold) for word in words]
    if len({output.name.casefold() for output in outputs}) < len(outputs):
        raise CommandError(f"type= names one kind twice: {', '.join(o.name for o in outputs)}")
    return outputs


def is_type(word: str) -> bool:
    """Whether a word names what can be made; an image's path, which is one too, is not meant."""
    return word in ("mask", "rgba", "blur", "overlay", "composite") or _color(word) is not None


def _parse(word: str, sigma: float, opacity: float, threshold: float | None) -> OutputType:
    simple = {"blur": _blur, "overlay": _overlay}
    if word == "mask":
        if threshold is None:
            return OutputType(word, lambda cut: cut.mask)
        level = threshold
        return OutputType(word, lambda cut: binary(cut.mask, level))
    if word in simple:
        return OutputType(word, simple[word])
    if word == "rgba":
        return OutputType(word, _rgba, alpha=True)
    if word == "composite":
        return OutputType(word, lambda cut: composite(cut, sigma, opacity))
    if (color := _color(word)) is not None:
        return OutputType(word.lstrip("#"), lambda cut: cut.quantized(cut.over(color)))
    path = Path(word).expanduser()
    if not path.is_file():
        raise UserError(f"type={word} is neither a word nor a file; choose of {_WORDS}")
    backdrop = read_image(path)
    return OutputType(path.stem, lambda cut: cut.quantized(cut.over(_covering(backdrop, cut))))


def composite(cut: Cutout, sigma: float, opacity: float) -> np.ndarray:
    """A drawing (U²-Net portrait) in the blurred colors of its photo."""
    blurred = _gaussian(cut, sigma) if sigma > 0 else cut.image
    return cut.kept(opacity * blurred + (1 - opacity) * cut.alpha)


def _gaussian(cut: Cutout, sigma: float) -> np.ndarray:
    """The photo blurred; what is transparent lends its color to nothing."""
    if cut.visible is None:
        return cv2.GaussianBlur(cut.image, (0, 0), sigma)
    blurred = cv2.GaussianBlur(cut.image * cut.visible, (0, 0), sigma)
    total = cv2.GaussianBlur(cut.visible, (0, 0), sigma)[..., None]
    return blurred / np.maximum(total, 1e-5)


def _rgba(cut: Cutout) -> np.ndarray:
    return cut.quantized(np.concatenate([cut.foreground, cut.alpha], axis=2))


def _blur(cut: Cutout) -> np.ndarray:
    """The background out of focus; what is in front does not bleed into it."""
    radius = max(1, round(_BLUR * min(cut.mask.shape)))
    background, weight = cut.image, 1 - cut.coverage + 1e-3
    if cut.visible is not None:
        weight = weight * cut.visible
    for _ in range(3):  # three boxes are nearly a Gaussian
        background = weighted_blur(background, weight, radius)
    return cut.kept(cut.coverage * cut.foreground + (1 - cut.coverage) * background)


def _overlay(cut: Cutout) -> np.ndarray:
    """The photo with its foreground tinted and outlined, to judge a mask by."""
    tinted = cut.image + 0.5 * cut.coverage * (_TINT - cut.image)
    inside = (cut.mask > 127).astype(np.uint8)
    width = max(1, round(min(cut.mask.shape) / 400))
    edge = cv2.morphologyEx(
        inside, cv2.MORPH_GRADIENT, np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    )
    return cut.kept(np.where(edge[..., None] > 0, _TINT, tinted))


def _color(word: str) -> np.ndarray | None:
    try:
        rgb = _NAMED.get(word) or ImageColor.getrgb(word)
    except ValueError:
        return None
    return np.array(rgb[:3], dtype=np.float32) / 255


def _covering(backdrop: np.ndarray, cut: Cutout) -> np.ndarray:
    """The middle of an image, scaled to cover the photo."""
    height, width = cut.mask.shape
    scale = max(height / backdrop.shape[0], width / backdrop.shape[1])
    size = (
        max(width, round(backdrop.shape[1] * scale)),
        max(height, round(backdrop.shape[0] * scale)),
    )
    kernel = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(backdrop, size, interpolation=kernel)
    top, left = (scaled.shape[0] - height) // 2, (scaled.shape[1] - width) // 2
    return scaled[top : top + height, left : left + width].astype(np.float32) / 255
