"""The images that are open and the one model that works on them.

Nothing here is safe to call from two threads: the server runs all of it in one.
"""

import logging
import secrets
import struct
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from src.datamodules.raster import within
from src.errors import UserError
from src.inference import Segmenter
from src.inference.image_file import ImageFile, image_file_bytes
from src.inference.outputs import Cutout, parse_outputs
from src.inference.segmenter import Detail
from src.processing.crop import Box, box_of_corners
from src.processing.processor import Levels
from src.webapp.edits import (
    Clicks,
    Edits,
    History,
    Part,
    PointedObject,
    Sharpening,
    combined,
)
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


@dataclass(eq=False)
class OpenImage:
    """An uploaded image, and what was done to it: all its masks follow from these."""

    key: str
    name: str
    image_file: ImageFile
    history: History = field(default_factory=History)
    levels: tuple[Levels | None] | None = None  # see `Segmenter.levels`; None while not asked for

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.image_file.pixels.shape[0], self.image_file.pixels.shape[1]

    @property
    def edits(self) -> Edits:
        """What is done now."""
        return self.history.now

    def pointed(self, number: int) -> PointedObject:
        """An object.

        Raises:
            GoneError: There is no such object.
        """
        if number not in self.edits.objects:
            raise GoneError(f"{self.name} has no object {number}.")
        return self.edits.objects[number]

    def box(self, window: Sequence[int] | None) -> Box | None:
        """A window of the image; None for all of it.

        Raises:
            BoxError: Without area, or outside the image.
        """
        return None if window is None else box_of_corners(window, self.size, "window")

    def state(self) -> dict[str, Any]:
        """Plain values from which a page can go on where it, or another one, was."""
        height, width = self.size
        return {
            "id": self.key,
            "name": self.name,
            "width": width,
            "height": height,
            "objects": {str(n): one.to_dict() for n, one in sorted(self.edits.objects.items())},
            "windows": [asdict(one) for one in self.edits.windows],
            **self.history.counts,
        }


class SessionStore:
    """Opens images, and makes masks and what follows from them; nothing of it touches the disk.

    What was made is kept in memory within bounds, and made again from the image and what was done
    to it, which are kept as long as the image is open, where it had to leave.

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

    def state(self, key: str) -> dict[str, Any]:
        """What was done to an image, see `OpenImage.state`."""
        return self._find(key).state()

    def undo(self, key: str) -> dict[str, Any]:
        """Take the latest change back; returns the state after it.

        Raises:
            HistoryError: There is none.
        """
        image = self._find(key)
        image.history.undo()
        return image.state()

    def redo(self, key: str) -> dict[str, Any]:
        """Make a change again that was taken back; returns the state after it.

        Raises:
            HistoryError: There is none.
        """
        image = self._find(key)
        image.history.redo()
        return image.state()

    def image(self, key: str, window: Sequence[int] | None = None) -> tuple[bytes, str]:
        """The upright image, or a window of it at most `VIEW` pixels a side, as a file that every
        browser shows, and its MIME type.
        """
        image = self._find(key)
        box = image.box(window)
        data = self.memory.get(
            ResultKey(key, _ALL, "image", box), lambda: _shown(image.image_file, box)
        )
        return data, "image/jpeg" if data.startswith(_JPEG) else "image/png"

    def result(
        self, key: str, output: str, view: bool = False, window: Sequence[int] | None = None
    ) -> bytes:
        """A PNG of one of `OUTPUTS` by a model without clicks.

        Args:
            view: Not of the image's size but of at most `VIEW` pixels a side.
            window: x0, y0, x1, y1 of what is asked for; None for all of it.
        """
        image = self._find(key)
        windows = image.edits.windows
        return self._rendered(
            image, _ALL, windows, (output, view, image.box(window)), lambda: self._found(image)
        )

    def sharpen(self, key: str, window: Sequence[int], overrule: bool = False) -> dict[str, Any]:
        """Read a window of the image again, see `Segmenter.sharpen`; returns the state after it.

        Raises:
            UserError: A window without area or outside the image, or a model with clicks. Nothing
                changes.
        """
        image = self._find(key)
        self.segmenter.refuse_clicks()
        box = box_of_corners(window, image.size, "window")
        edits = image.edits.with_window(Sharpening(box, overrule))
        self._found(image, edits.windows)
        image.history.change(edits)
        return image.state()

    def put_object(self, key: str, number: int, pointed: PointedObject) -> bytes | None:
        """Make or change an object; returns the PNG of its mask to look at, None where it has none
        yet.

        Raises:
            UserError: Clicks that cannot be meant. The object stays as it was.
        """
        image = self._find(key)
        if pointed.clicks is None and (pointed.combine or pointed.draft is None):
            raise UserError("an object begins with clicks: give points, a box or both")
        if pointed.clicks is not None:
            self._object(image, number, pointed.clicks, pointed.combine)
        image.history.change(image.edits.with_object(number, pointed))
        return (
            None if pointed.clicks is None else self.object_result(key, number, "mask", view=True)
        )

    def drop_object(self, key: str, number: int) -> None:
        """Forget an object; one that is not there is no error."""
        image = self._find(key)
        image.history.change(image.edits.without_object(number))

    def object_result(
        self,
        key: str,
        number: int,
        output: str,
        view: bool = False,
        window: Sequence[int] | None = None,
    ) -> bytes:
        """As `result`, for one object of a model with clicks.

        Raises:
            GoneError: There is no such object, or no mask of it yet.
        """
        image = self._find(key)
        clicks, combine = (pointed := image.pointed(number)).clicks, pointed.combine
        if clicks is None:
            raise GoneError(f"Object {number} of {image.name} has no mask yet.")
        return self._rendered(
            image,
            number,
            (clicks, combine),
            (output, view, image.box(window)),
            lambda: self._object(image, number, clicks, combine),
        )

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

    def _found(self, image: OpenImage, windows: tuple[Sharpening, ...] | None = None) -> np.ndarray:
        """The mask by a model without clicks, after some of the windows; None for all."""
        windows = image.edits.windows if windows is None else windows

        def make() -> np.ndarray:
            pixels, opacity = image.image_file.pixels, image.image_file.opacity
            if not windows:
                return within(self.segmenter.mask(pixels, detail=self.detail), opacity)
            *before, last = windows
            mask = self._found(image, tuple(before))
            if image.levels is None:
                image.levels = (self.segmenter.levels(pixels),)
            (levels,) = image.levels
            joined = self.segmenter.sharpen(
                pixels, mask, last.window, overrule=last.overrule, levels=levels
            )
            return within(joined, opacity)

        return self.memory.get(ResultKey(image.key, _ALL, _MASK, windows), make)

    def _object(
        self, image: OpenImage, number: int, clicks: Clicks, combine: tuple[Part, ...]
    ) -> np.ndarray:
        """The mask of what is pointed at."""

        def make() -> np.ndarray:
            if not combine:
                return self._pointed(image, clicks)
            *before, last = combine
            first = self._object(image, number, clicks, tuple(before))
            return combined(first, last.mode, self._object(image, number, last.clicks, ()))

        return self.memory.get(ResultKey(image.key, number, _MASK, (clicks, combine)), make)

    def _pointed(self, image: OpenImage, clicks: Clicks) -> np.ndarray:
        """The mask of what one set of clicks points at."""
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
        for number, pointed in sorted(image.edits.objects.items()):
            if pointed.clicks is not None:
                yield number, self._object(image, number, pointed.clicks, pointed.combine)

    def _rendered(
        self,
        image: OpenImage,
        number: int,
        edits: Hashable,
        what: tuple[str, bool, Box | None],
        mask: Callable[[], np.ndarray],
    ) -> bytes:
        """The PNG of an output, of all or of a window, from memory or made of the mask."""
        output, view, box = what
        view = view and max(box.size if box else image.size) > VIEW  # else both are one file
        return self.memory.get(
            ResultKey(image.key, number, f"{output}{'-view' if view else ''}", (edits, box)),
            lambda: _png(image.image_file, mask(), output, view, box),
        )


def _shown(image_file: ImageFile, box: Box | None) -> bytes:
    """A JPEG without the file's EXIF block; a PNG of what a JPEG cannot hold."""
    plain = replace(image_file, exif=None, opacity=None)
    pixels = image_file.pixels if box is None else _shrunk(image_file.pixels[box.slices])
    if max(pixels.shape[:2]) <= _WIDEST_JPEG:
        try:
            return image_file_bytes(Path("image.jpg"), pixels, plain)
        except (OSError, ValueError, struct.error) as error:
            log.debug("%s: shown as PNG", image_file.path, exc_info=error)  # a huge color profile
    return image_file_bytes(_PNG, pixels, plain)


def _png(
    image_file: ImageFile, mask: np.ndarray, output: str, view: bool, box: Box | None
) -> bytes:
    """An output made of a mask, which is within the image's opacity already."""

    def part(pixels: np.ndarray) -> np.ndarray:
        cut = pixels if box is None else np.ascontiguousarray(pixels[box.slices])
        return _shrunk(cut) if view else cut

    if output == "mask":
        return image_file_bytes(_PNG, part(mask))
    opacity = image_file.opacity
    cutout = Cutout(
        part(image_file.colors), part(mask), opacity=None if opacity is None else part(opacity)
    )
    return image_file_bytes(_PNG, _RENDERERS[output].render(cutout), image_file)


def _shrunk(pixels: np.ndarray) -> np.ndarray:
    """At most `VIEW` pixels a side."""
    height, width = pixels.shape[:2]
    scale = VIEW / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
