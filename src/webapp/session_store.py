"""The images that are open and the one model that works on them.

Nothing here is safe to call from two threads: the server runs all of it in one.
"""

import logging
import secrets
import shutil
import struct
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from PIL import Image

from src.datamodules.raster import within
from src.errors import UserError, is_full
from src.inference import Segmenter
from src.inference.image_file import ImageFile, write_image_file
from src.inference.outputs import Cutout, parse_outputs
from src.inference.segmenter import Detail
from src.webapp.object_files import coco, palette_png
from src.webapp.uploads import Limits, display_name, read_upload

log = logging.getLogger(__name__)

OUTPUTS = ("mask", "rgba", "overlay")
VIEW = 1600  # pixels a side of what is only looked at; a full-size PNG takes seconds to write
_SHOWN = {"picture.jpg": "image/jpeg", "picture.png": "image/png"}
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

    folder: Holds what was made of it; a folder `<number>` for each of its objects.
    objects: The numbers of its objects.
    """

    key: str
    name: str
    image_file: ImageFile
    folder: Path
    objects: set[int] = field(default_factory=set)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.image_file.pixels.shape[0], self.image_file.pixels.shape[1]

    def object_folder(self, number: int) -> Path:
        """Where an object's mask and cut-out are.

        Raises:
            GoneError: There is no such object.
        """
        if number not in self.objects:
            raise GoneError(f"{self.name} has no object {number}.")
        return self.folder / str(number)


class SessionStore:
    """Opens images, and makes masks and what follows from them; each is made once.

    Args:
        segmenter: The model.
        limits: Of uploads.
        detail: How a model without clicks looks at an image, see `Segmenter.mask`.
        keep: Images that are open at a time; the one not used for longest makes room.
    """

    def __init__(
        self, segmenter: Segmenter, limits: Limits, *, detail: Detail = "whole", keep: int = 8
    ) -> None:
        if keep < 1:
            raise UserError(f"keep is {keep}; at least 1 image must be kept")
        self.segmenter, self.limits, self.detail, self.keep = segmenter, limits, detail, keep
        self._images: OrderedDict[str, OpenImage] = OrderedDict()
        self._home = TemporaryDirectory(prefix="finecut-")
        self._pointed_at: OpenImage | None = None  # what the segmenter has seen and encoded

    def open(self, data: bytes, name: str) -> OpenImage:
        """Take in a file that a browser sent, under a key that nobody guesses.

        Raises:
            UserError: See `read_upload`.
        """
        shown = display_name(name)
        image_file = read_upload(data, shown, self.limits)
        key = secrets.token_urlsafe(16)
        folder = Path(self._home.name) / secrets.token_hex(8)
        image = OpenImage(key, shown, image_file, folder)
        try:
            _write_shown(folder, image_file)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._images[key] = image
        while len(self._images) > self.keep:
            self._forget(next(iter(self._images)))
        return image

    def image(self, key: str) -> tuple[bytes, str]:
        """The upright image as a file that every browser shows, and its MIME type."""
        folder = self._find(key).folder
        for name, kind in _SHOWN.items():
            if (folder / name).is_file():
                return (folder / name).read_bytes(), kind
        raise GoneError("The files of this image are gone; please send it again.")

    def result(self, key: str, output: str, view: bool = False) -> bytes:
        """A PNG of one of `OUTPUTS` by a model without clicks.

        Args:
            view: Not of the image's size but of at most `VIEW` pixels a side.
        """
        image = self._find(key)
        mask = image.folder / "mask.png"
        if not mask.is_file():
            found = self.segmenter.mask(image.image_file.pixels, detail=self.detail)
            write_image_file(mask, within(found, image.image_file.opacity))
        return _rendered(image, image.folder, output, view)

    def put_object(self, key: str, number: int, clicks: Clicks) -> bytes:
        """Make or change an object; returns the PNG of its mask to look at.

        Raises:
            UserError: Clicks that cannot be meant. The object stays as it was.
        """
        image = self._find(key)
        if self._pointed_at is not image:
            self.segmenter.set_image(image.image_file.pixels)
            self._pointed_at = image
        mask = self.segmenter.predict(
            points=list(clicks.points),
            labels=None if clicks.labels is None else list(clicks.labels),
            box=clicks.box,
        )
        changed = image.folder / f"{number}.changed"
        try:
            write_image_file(changed / "mask.png", within(mask, image.image_file.opacity))
        except BaseException:  # a full disk
            shutil.rmtree(changed, ignore_errors=True)
            raise
        self._drop(image, number)
        changed.rename(image.folder / str(number))
        image.objects.add(number)
        return self.object_result(key, number, "mask", view=True)

    def drop_object(self, key: str, number: int) -> None:
        """Forget an object; one that is not there is no error."""
        self._drop(self._find(key), number)

    def object_result(self, key: str, number: int, output: str, view: bool = False) -> bytes:
        """As `result`, for one object of a model with clicks."""
        image = self._find(key)
        return _rendered(image, image.object_folder(number), output, view)

    def palette(self, key: str) -> bytes:
        """The numbers of all objects as a palette PNG."""
        image = self._find(key)
        return palette_png(_masks(image), image.size)

    def coco(self, key: str) -> dict[str, object]:
        """All objects as COCO's JSON."""
        image = self._find(key)
        return coco(_masks(image), image.size, image.name)

    def close(self) -> None:
        """Remove every file."""
        self._images.clear()
        self._home.cleanup()

    def _find(self, key: str) -> OpenImage:
        if key not in self._images:
            raise GoneError(
                "This image is no longer here: only the latest are kept. Please send it again."
            )
        self._images.move_to_end(key)
        return self._images[key]

    def _forget(self, key: str) -> None:
        shutil.rmtree(self._images.pop(key).folder)

    def _drop(self, image: OpenImage, number: int) -> None:
        if number in image.objects:
            image.objects.remove(number)
            shutil.rmtree(image.folder / str(number))


def _write_shown(folder: Path, image_file: ImageFile) -> None:
    """A JPEG without the file's EXIF block; a PNG of what a JPEG cannot hold."""
    plain = replace(image_file, exif=None, opacity=None)
    if max(image_file.pixels.shape[:2]) <= _WIDEST_JPEG:
        try:
            write_image_file(folder / "picture.jpg", image_file.pixels, plain)
            return
        except (OSError, ValueError, struct.error) as error:
            if is_full(error):
                raise
            log.debug("%s: shown as PNG", image_file.path, exc_info=error)  # a huge color profile
    write_image_file(folder / "picture.png", image_file.pixels, plain)


def _rendered(image: OpenImage, folder: Path, output: str, view: bool) -> bytes:
    """Read an output, or make it of the mask in the same folder."""
    path = folder / (f"{output}-view.png" if view else f"{output}.png")
    if not path.is_file():
        colors, mask = image.image_file.colors, _read_mask(folder / "mask.png")
        opacity = image.image_file.opacity
        if view:
            colors, mask = _shrunk(colors), _shrunk(mask)
            opacity = None if opacity is None else _shrunk(opacity)
        image_file = None if output == "mask" else image.image_file
        write_image_file(
            path, _RENDERERS[output].render(Cutout(colors, mask, opacity=opacity)), image_file
        )
    return path.read_bytes()


def _shrunk(pixels: np.ndarray) -> np.ndarray:
    """At most `VIEW` pixels a side."""
    height, width = pixels.shape[:2]
    scale = VIEW / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _masks(image: OpenImage) -> dict[int, np.ndarray]:
    return {n: _read_mask(image.object_folder(n) / "mask.png") for n in image.objects}


def _read_mask(path: Path) -> np.ndarray:
    """The very values that were written: a file of ours holds nothing to be guessed at."""
    with Image.open(path) as image:
        return np.array(image)
