"""What the Python API takes for an image, beyond what `pictures.py` reads."""

import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from src.errors import UserError

from .photo import Photo
from .pictures import Picture

Answer = TypeVar("Answer")
AnyImage = Picture | Tensor | bytes | bytearray | memoryview | BinaryIO

_ACCEPTED = (
    "a path, the bytes of an image file, a binary file object, a Pillow image, a uint8 array "
    "(H, W, 3) in RGB, or a uint8 tensor (3, H, W)"
)


def read_any(image: AnyImage, read: Callable[[Picture], Answer]) -> Answer:
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
    if isinstance(image, np.ndarray | Path | Photo) or (isinstance(image, str) and image):
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


def _read_bytes(data: bytes, read: Callable[[Picture], Answer]) -> Answer:
    """As the file of these bytes is read, to the last grey level."""
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
