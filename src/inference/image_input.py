"""What the Python API takes for an image: files, bytes, arrays and tensors, as uint8 RGB."""

import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from src.datamodules.images import decode, from_pillow
from src.datamodules.raster import KindError, colors_of, seen
from src.errors import UserError
from src.inference.image_file import ImageFile

_UNCERTAIN = ("I", "F", "LAB")  # Pillow's modes; it would clip them, or take them for another

ReadableImage = np.ndarray | Image.Image | str | Path
Answer = TypeVar("Answer")
AnyImage = ReadableImage | Tensor | bytes | bytearray | memoryview | BinaryIO
_ACCEPTED = (
    "a path, the bytes of an image file, a binary file object, a Pillow image, a uint8 array "
    "(H, W, 3) in RGB, or a uint8 tensor (3, H, W)"
)


class DecodedImage(NamedTuple):
    """An image as a network sees it, uint8 `(H, W, 3)`, and the image's own opacity."""

    pixels: np.ndarray
    opacity: np.ndarray | None = None


def as_seen(image: ReadableImage) -> DecodedImage:
    """An image upright, transparency composed as `raster.seen` says, 16 bit scaled to 8.

    Raises:
        UserError: An array or a Pillow image of another kind, or a file that cannot be read.
    """
    if isinstance(image, np.ndarray):
        return DecodedImage(_checked(image))
    if isinstance(image, Image.Image):
        return _converted(image)
    path = Path(image).expanduser()
    decoded, _ = decode(path)
    try:
        return DecodedImage(seen(colors_of(decoded), decoded.opacity), decoded.opacity)
    except KindError as error:
        raise UserError(f"{path}: {error}") from None


def _converted(image: Image.Image) -> DecodedImage:
    if image.mode in _UNCERTAIN:
        raise UserError(
            f"a Pillow image of kind {image.mode!r} has no certain 8-bit form; convert it to RGB"
        )
    try:
        decoded = from_pillow(image)
        return DecodedImage(seen(colors_of(decoded), decoded.opacity), decoded.opacity)
    except KindError as error:
        raise UserError(f"a Pillow image: {error}") from None


def _checked(array: np.ndarray) -> np.ndarray:
    if array.dtype != np.uint8 or array.size == 0 or array.ndim not in (2, 3):
        raise UserError(
            f"an image is a uint8 array (H, W, 3) in RGB, not {array.dtype} {array.shape}; "
            "multiply values from 0 to 1 by 255, and convert with .astype('uint8')"
        )
    if array.ndim == 2:
        return cv2.cvtColor(array, cv2.COLOR_GRAY2RGB)
    if array.shape[2] != 3:
        raise UserError(
            f"an image has 3 channels (RGB), not {array.shape[2]}: {array.shape}; "
            "PIL.Image.fromarray(array) makes an image of it that says what its channels are"
        )
    return np.ascontiguousarray(array)


def read_any(image: AnyImage, read: Callable[[ReadableImage], Answer]) -> Answer:
    """What `read` makes of an image.

    Args:
        image: A path; the bytes of an image file, or a binary file object from where it stands; a
            Pillow image; a uint8 array `(H, W, 3)` in RGB or `(H, W)`; a uint8 tensor `(3, H, W)`
            or `(1, H, W)`, as torchvision reads.
        read: Takes a path, a Pillow image or an array.

    Raises:
        UserError: Anything else, or a file that cannot be read.
    """
    if isinstance(image, Tensor):
        return read(_array(image))
    if isinstance(image, Image.Image):
        try:
            return read(image)
        except (OSError, SyntaxError) as error:  # Pillow decodes only now, and finds it cut short
            raise UserError(f"the Pillow image cannot be decoded: {error}") from error
    if isinstance(image, np.ndarray | Path | ImageFile) or (isinstance(image, str) and image):
        return read(image)
    data = image
    if not isinstance(image, str) and callable(getattr(image, "read", None)):
        data = image.read()  # type: ignore[union-attr]
    if isinstance(data, bytes | bytearray | memoryview):
        return _read_bytes(bytes(data), read)
    raise UserError(f"an image is {_ACCEPTED}, not {_described(image)}")


def as_list(images: Iterable[AnyImage]) -> list[AnyImage]:
    """Several images, one by one.

    Raises:
        UserError: One image, which is not a list of them.
    """
    single = (str, Path, bytes, bytearray, memoryview, Image.Image, Mapping)
    several = not isinstance(images, single) and not callable(getattr(images, "read", None))
    if isinstance(images, np.ndarray | Tensor):
        several = images.ndim == 4  # a batch; of fewer axes each row would be taken for an image
    if not several or not isinstance(images, Iterable):
        raise UserError(
            f"masks takes a list of images, not {_described(images)}; mask takes one image"
        )
    return list(images)


def _described(value: object) -> str:
    shape = getattr(value, "shape", None)
    kind = "an empty text" if isinstance(value, str) else f"a {type(value).__name__}"
    return kind if shape is None else f"{kind} {tuple(shape)}"


def _read_bytes(data: bytes, read: Callable[[ReadableImage], Answer]) -> Answer:
    """As the file of these bytes is read, to the last gray level."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image")
        path.write_bytes(data)
        try:
            return read(path)
        except UserError as error:
            said = str(error).replace(str(path), f"an image of {len(data)} bytes")
            raise UserError(said) from None


def _array(tensor: Tensor) -> np.ndarray:
    """`(C, H, W)` to `(H, W, C)`."""
    if tensor.dtype != torch.uint8 or tensor.ndim != 3 or tensor.shape[0] not in (1, 3):
        raise UserError(
            "a tensor is uint8 (3, H, W) in RGB, as torchvision reads, not "
            f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}; multiply values "
            "from 0 to 1 by 255, and put channels first"
        )
    array = tensor.detach().cpu().permute(1, 2, 0).numpy()
    return array[..., 0] if array.shape[2] == 1 else array
