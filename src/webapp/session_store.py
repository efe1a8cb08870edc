"""The images that are open and the one model that works on them.

Nothing here is safe to call from two threads: the server runs all of it in one.
"""

import logging
import secrets
import struct
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from src.datamodules.raster import within
from src.errors import UserError
from src.inference import Segmenter
from src.inference.image_file import ImageFile, image_file_bytes
from src.inference.outputs import Cutout, parse_outputs
from src.inference.segmenter import Detail
from src.webapp.object_files import NumberedMasks, coco, palette_png
from src.webapp.result_memory import ResultKey, ResultMemory
from src.webapp.uploads import Limits, display_name, read_upload

log = logging.getLogger(__name__)

OUTPUTS = ("mask", "rgba", "overlay")
VIEW = 1600  # pixels a side of what is only looked at; a full-size PNG takes seconds to write
MEMORY = 1_000_000_000  # bytes of results, where nothing else is said
_PNG, _JPEG = Path("image.png"), b"\xff\xd8"
_ALL, _MASK = 0, "pixels"  # a result of the whole image; the mask as it is, not as a PNG
_WIDEST_JPEG = 65_500  # libjpeg's limit
_RENDERERS = {output.name: output for output in parse_outputs(OUTPUTS)}


class GoneError(UserError):
    """An image or an object that is not here, or not any more."""


@dataclass(frozen=True)
class Clicks:
    """What was pointed at: see `Segmenter.predict`. Coordinates are the upright image's."""

    points: Sequence[tuple[float, float]]
    labels: Sequence[int] | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass(eq=False)
class OpenImage:
    """An uploaded image.

    objects: What was pointed at, by the number of the object: its mask follows from it.
    """

    key: str
    name: str
    image_file: ImageFile
    objects: dict[int, Clicks] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.image_file.pixels.shape[0], self.image_file.pixels.shape[1]

    def clicks(self, number: int) -> Clicks:
        """What an object was pointed at with.

        Raises:
            GoneError: There is no such object.
        """
        if number not in self.objects:
            raise GoneError(f"{self.name} has no object {number}.")
        return self.objects[number]


class SessionStore:
    """Opens images, and makes masks and what follows from them; nothing of it touches the disk.

    What was made is kept in memory within bounds, and made again from the image and the clicks,
    which are always kept, where it had to leave.

    Args:
        segmenter: The model.
        limits: Of uploads.
        detail: How a model without clicks looks at an image, see `Segmenter.mask`.
        keep: Images that are open at a time; the one not used for longest makes room.
        memory: Where results are kept; None for one of `MEMORY` bytes.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        limits: Limits,
        *,
        detail: Detail = "whole",
        keep: int = 8,
        memory: ResultMemory | None = None,
    ) -> None:
        if keep < 1:
            raise UserError(f"keep is {keep}; at least 1 image must be kept")
        self.segmenter, self.limits, self.detail, self.keep = segmenter, limits, detail, keep
        self.memory = ResultMemory(MEMORY) if memory is None else memory
        self._images: OrderedDict[str, OpenImage] = OrderedDict()
        self._pointed_at: OpenImage | None = None  # what the segmenter has seen and encoded

    def open(self, data: bytes, name: str) -> OpenImage:
        """Take in a file that a browser sent, under a key that nobody guesses.

        Raises:
            UserError: See `read_upload`.
        """
        shown = display_name(name)
        image = OpenImage(secrets.token_urlsafe(16), shown, read_upload(data, shown, self.limits))
        self._images[image.key] = image
        while len(self._images) > self.keep:
            self._forget(next(iter(self._images)))
        return image

    def image(self, key: str) -> tuple[bytes, str]:
        """The upright image as a file that every browser shows, and its MIME type."""
        image = self._find(key)
        data = self.memory.get(ResultKey(key, _ALL, "image"), lambda: _shown(image.image_file))
        return data, "image/jpeg" if data.startswith(_JPEG) else "image/png"

    def result(self, key: str, output: str, view: bool = False) -> bytes:
        """A PNG of one of `OUTPUTS` by a model without clicks.

        Args:
            view: Not of the image's size but of at most `VIEW` pixels a side.
        """
        image = self._find(key)
        return self._rendered(image, _ALL, output, view, lambda: self._found(image))

    def put_object(self, key: str, number: int, clicks: Clicks) -> bytes:
        """Make or change an object; returns the PNG of its mask to look at.

        Raises:
            UserError: Clicks that cannot be meant. The object stays as it was.
        """
        image = self._find(key)
        mask = self._pointed(image, clicks)
        self.memory.forget(key, number)
        image.objects[number] = clicks
        self.memory.put(ResultKey(key, number, _MASK), mask)
        return self.object_result(key, number, "mask", view=True)

    def drop_object(self, key: str, number: int) -> None:
        """Forget an object; one that is not there is no error."""
        self._find(key).objects.pop(number, None)
        self.memory.forget(key, number)

    def object_result(self, key: str, number: int, output: str, view: bool = False) -> bytes:
        """As `result`, for one object of a model with clicks."""
        image = self._find(key)
        clicks = image.clicks(number)
        return self._rendered(image, number, output, view, lambda: self._pointed(image, clicks))

    def palette(self, key: str) -> bytes:
        """The numbers of all objects as a palette PNG."""
        image = self._find(key)
        return palette_png(self._masks(image), image.size)

    def coco(self, key: str) -> dict[str, object]:
        """All objects as COCO's JSON."""
        image = self._find(key)
        return coco(self._masks(image), image.size, image.name)

    def close(self) -> None:
        """Forget everything."""
        self._images.clear()
        self.memory.clear()

    def _find(self, key: str) -> OpenImage:
        if key not in self._images:
            raise GoneError(
                "This image is no longer here: only the latest are kept. Please send it again."
            )
        self._images.move_to_end(key)
        return self._images[key]

    def _forget(self, key: str) -> None:
        self.memory.forget(key)
        if self._images.pop(key) is self._pointed_at:
            self._pointed_at = None

    def _found(self, image: OpenImage) -> np.ndarray:
        """The mask by a model without clicks."""
        mask = self.segmenter.mask(image.image_file.pixels, detail=self.detail)
        return within(mask, image.image_file.opacity)

    def _pointed(self, image: OpenImage, clicks: Clicks) -> np.ndarray:
        """The mask of what is pointed at."""
        if self._pointed_at is not image:
            self.segmenter.set_image(image.image_file.pixels)
            self._pointed_at = image
        mask = self.segmenter.predict(
            points=list(clicks.points),
            labels=None if clicks.labels is None else list(clicks.labels),
            box=clicks.box,
        )
        return within(mask, image.image_file.opacity)

    def _masks(self, image: OpenImage) -> NumberedMasks:
        for number in sorted(image.objects):
            clicks = image.objects[number]
            key = ResultKey(image.key, number, _MASK)
            yield number, self.memory.get(key, partial(self._pointed, image, clicks))

    def _rendered(
        self,
        image: OpenImage,
        number: int,
        output: str,
        view: bool,
        make_mask: Callable[[], np.ndarray],
    ) -> bytes:
        """The PNG of an output, from memory or made of the mask."""
        view = view and max(image.size) > VIEW  # else both are one file

        def render() -> bytes:
            mask = self.memory.get(ResultKey(image.key, number, _MASK), make_mask)
            return _png(image.image_file, mask, output, view)

        return self.memory.get(
            ResultKey(image.key, number, f"{output}{'-view' if view else ''}"), render
        )


def _shown(image_file: ImageFile) -> bytes:
    """A JPEG without the file's EXIF block; a PNG of what a JPEG cannot hold."""
    plain = replace(image_file, exif=None, opacity=None)
    if max(image_file.pixels.shape[:2]) <= _WIDEST_JPEG:
        try:
            return image_file_bytes(Path("image.jpg"), image_file.pixels, plain)
        except (OSError, ValueError, struct.error) as error:
            log.debug("%s: shown as PNG", image_file.path, exc_info=error)  # a huge color profile
    return image_file_bytes(_PNG, image_file.pixels, plain)


def _png(image_file: ImageFile, mask: np.ndarray, output: str, view: bool) -> bytes:
    """An output made of a mask, which is within the image's opacity already."""
    if output == "mask":
        return image_file_bytes(_PNG, _shrunk(mask) if view else mask)
    colors, opacity = image_file.colors, image_file.opacity
    if view:
        colors, mask = _shrunk(colors), _shrunk(mask)
        opacity = None if opacity is None else _shrunk(opacity)
    pixels = _RENDERERS[output].render(Cutout(colors, mask, opacity=opacity))
    return image_file_bytes(_PNG, pixels, image_file)


def _shrunk(pixels: np.ndarray) -> np.ndarray:
    """At most `VIEW` pixels a side."""
    height, width = pixels.shape[:2]
    scale = VIEW / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
