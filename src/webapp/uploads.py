"""What a browser sends, as a form or as it is, checked before it is decoded."""

import logging
import math
import warnings
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, UnidentifiedImageError

from src.datamodules.file_kinds import IMAGE_KINDS, load_plugin, plugin_kind
from src.datamodules.jpeg_xl import jxl_size
from src.errors import UserError
from src.inference.image_file import ImageFile, read_image_file

log = logging.getLogger(__name__)

# Formats that cameras and tools write. Pillow reads others, with parsers that fewer people test.
# MPO is what some phones call a JPEG with a second image.
_SUFFIXES = {kind.format: kind.suffixes[0] for kind in IMAGE_KINDS.values()} | {"MPO": ".jpg"}
_LONGEST_NAME = 100
OVERHEAD = 1 << 16  # bytes of a form around its file
_HEADERS = 1 << 14  # bytes of a part's
_MOST_PARTS = 20
_END = b"\r\n\r\n"


class UploadError(UserError):
    """A file that is no image, or a damaged one."""


class TooLargeError(UserError):
    """A file or an image above the limits."""


@dataclass(frozen=True)
class Limits:
    """What is accepted.

    megapixels: Of an image, whatever its file's size: a small file can hold a huge image.
    megabytes: Of a file.
    """

    megapixels: float
    megabytes: float

    def __post_init__(self) -> None:
        for key, value in (("megapixels", self.megapixels), ("upload_mb", self.megabytes)):
            if not 0 < value < math.inf:
                raise UserError(f"max_{key} is {value}; give a number above 0")

    @property
    def bytes(self) -> int:
        return int(self.megabytes * 1e6)

    def check_bytes(self, count: int) -> None:
        """Refuse a file of `count` bytes, or the first `count` bytes of one, if that is too many.

        Raises:
            TooLargeError: It is.
        """
        if count > self.bytes:
            raise TooLargeError(f"The file is larger than {self.megabytes:g} MB, the limit here.")

    def check_size(self, width: int, height: int) -> None:
        """Refuse an image with too many pixels.

        Raises:
            TooLargeError: It has.
        """
        if width * height > self.megapixels * 1e6:
            raise TooLargeError(
                f"The image has {width} × {height} pixels; the limit here is "
                f"{self.megapixels:g} megapixels. Make it smaller and try again."
            )


def read_upload(data: bytes, name: str, limits: Limits) -> ImageFile:
    """Decode a file that a browser sent; `name` only appears in messages.

    Raises:
        TooLargeError: Above the limits; known from the header, before pixels are decoded.
        UploadError: Not an image, of an unusual format, or damaged.
    """
    limits.check_bytes(len(data))
    suffix = _checked_suffix(data, name, limits)
    with TemporaryDirectory(prefix="finecut-") as folder:
        path = Path(folder) / f"upload{suffix}"
        path.write_bytes(data)
        try:
            return read_image_file(path)
        except UserError as error:
            raise UploadError(str(error).replace(str(path), name)) from None
        except Exception as error:  # decoders fail in many ways on what is made to make them fail
            log.warning("an upload could not be decoded", exc_info=error)
            raise UploadError(f"{name}: damaged, or of a kind that cannot be read") from None


def display_name(name: str) -> str:
    """A file's name as people may see it again: without folders and control characters."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(c for c in last if c.isprintable()).strip()
    return shown[-_LONGEST_NAME:] or "picture"


def _checked_suffix(data: bytes, name: str, limits: Limits) -> str:
    """The suffix of the format that the bytes have, whatever the file's name says."""
    if not data:
        raise UploadError(f"{name}: an empty file")
    try:
        with warnings.catch_warnings():
            # Ours is the limit that counts, and it is checked next.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            Image.init()
            _load_plugin(data, name, limits)
            formats = [kind for kind in _SUFFIXES if kind in Image.OPEN]
            with Image.open(BytesIO(data), formats=formats) as image:
                limits.check_size(*image.size)
                return _SUFFIXES[image.format or ""]
    except UserError:
        raise
    except Image.DecompressionBombError:
        raise TooLargeError(
            f"The image has more pixels than the limit here, {limits.megapixels:g} megapixels."
        ) from None
    except UnidentifiedImageError:
        raise UploadError(f"{name}: not an image; send a {_known()} file") from None
    except Exception as error:  # as above
        log.warning("the header of an upload could not be read", exc_info=error)
        raise UploadError(f"{name}: damaged; send a {_known()} file") from None


def _load_plugin(data: bytes, name: str, limits: Limits) -> None:
    """Load what Pillow needs for a kind of image of its own; one that decodes at once is measured.

    Raises:
        UploadError: It is not installed here.
        TooLargeError: The image has too many pixels.
    """
    if (kind := plugin_kind(data[:16])) is None:
        return
    if not kind.is_read:
        raise UploadError(f"{name}: {kind.called} is not read here; send a {_known()} file")
    load_plugin(kind)
    if kind.format == "JXL":
        height, width = jxl_size(data)
        limits.check_size(width, height)


def _known() -> str:
    """The kinds that are read here, in words."""
    *names, last = (kind.called for kind in IMAGE_KINDS.values() if kind.is_read)
    return f"{', '.join(names)} or {last}"


def is_form(content_type: str) -> bool:
    """Whether a body of this type is a form with files."""
    return content_type.partition(";")[0].strip().lower() == "multipart/form-data"


def file_in_form(body: bytes, content_type: str) -> tuple[bytes, str | None]:
    """The content and the name of the file in a form.

    Raises:
        UploadError: Not a form, damaged, or not exactly one file in it.
    """
    files = [(content, name) for content, name in _parts(body, content_type) if name]
    if len(files) != 1:
        raise UploadError(
            f"The form holds {len(files) or 'no'} files; send one, as curl -F image=@photo.jpg does"
        )
    return files[0]


def _parts(body: bytes, content_type: str) -> list[tuple[bytes, str | None]]:
    kind = Message()
    kind["content-type"] = content_type
    boundary = kind.get_boundary()
    if not boundary or len(boundary) > 70 or not boundary.isascii():
        raise UploadError("The form does not say in its Content-Type what separates its parts.")
    mark = b"--" + boundary.encode()
    if body.startswith(mark):
        at = len(mark)
    elif (at := body.find(b"\r\n" + mark)) >= 0:
        at += 2 + len(mark)
    else:
        raise UploadError("The form is damaged: its separator is not in it.")
    parts: list[tuple[bytes, str | None]] = []
    while body[at : at + 2] != b"--":
        start = body.find(_END, at, at + _HEADERS)
        stop = body.find(b"\r\n" + mark, start + len(_END)) if start >= 0 else -1
        if stop < 0 or len(parts) == _MOST_PARTS:
            raise UploadError("The form is damaged: a part of it has no end.")
        headers = HeaderParser().parsestr(body[at:start].decode(errors="replace").lstrip("\r\n"))
        parts.append((body[start + len(_END) : stop], headers.get_filename()))
        at = stop + 2 + len(mark)
    return parts
