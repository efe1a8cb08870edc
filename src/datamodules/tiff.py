"""TIFF files, sample by sample: the one format whose layouts no decoder reads all of.

Pillow reads 16 bit in color as 8 bit, or planes as noise; OpenCV reads a negative as a positive.
Where a file is not of the common kind its samples are decoded here as what they are: a copy of the
directory describes them as one wide gray image, which libtiff decompresses; order of channels,
predictor, negative, alpha are then undone by what the tags say.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from src.datamodules.raster import KindError, Raster, raster, raster_of, turned

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIPS, _ORIENTATION, _SAMPLES, _ROWS, _STRIP_BYTES, _PLANAR = 273, 274, 277, 278, 279, 284
_PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = 317, 322, 323, 324, 325
_EXTRA, _FORMAT, _PROFILE, _SUBFILE = 338, 339, 34675, 254

_NEGATIVE, _GRAY, _RGB, _CMYK = 0, 1, 2, 5
_COLORS = {_NEGATIVE: 1, _GRAY: 1, _RGB: 3, _CMYK: 4}
_ASSOCIATED, _UNASSOCIATED, _ALPHA = 1, 2, (1, 2, 999)  # 999 is Corel's
# none, LZW, deflate (two numbers), PackBits, LZMA, ZSTD
_LOSSLESS = (1, 5, 8, 32946, 32773, 34925, 50000)
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, KeyError, TypeError, struct.error)


@dataclass(frozen=True)
class TiffLayout:
    """What the first directory of a file says.

    size: Height and width as stored.
    bits: Of each sample.
    kind: 1 unsigned, 2 signed, 3 float.
    photometric: What samples mean.
    extra: What the samples behind the colors are; 1 and 2 are alpha, 0 is nothing named.
    planar: Channels are stored one after another.
    orientation: As in EXIF.
    pages: Whether another image follows that is not a smaller copy of this one.
    profile: The ICC profile.
    """

    size: tuple[int, int]
    bits: tuple[int, ...]
    kind: int
    photometric: int
    extra: tuple[int, ...]
    planar: bool
    orientation: int
    pages: bool
    profile: bytes | None
    tags: Any

    @property
    def common(self) -> bool:
        """Whether Pillow reads it right: up to 8 bit, in one piece, without further channels."""
        colors = _COLORS.get(self.photometric)
        plain = not self.planar and (colors is None or len(self.bits) == colors)
        return max(self.bits) <= 8 and self.kind == _UNSIGNED and plain


def read_layout(file: BinaryIO) -> TiffLayout:
    """Read the first directory of a TIFF file that is open at its start.

    Raises:
        KindError: Damaged, or with tags that contradict each other.
    """
    try:
        header = file.read(8)
        if header[2:3] in b"+":
            header += file.read(8)
        tags: Any = ImageFileDirectory_v2(header)
        file.seek(tags.next)
        tags.load(file)
        size = int(tags[_HEIGHT]), int(tags[_WIDTH])
        samples = int(tags.get(_SAMPLES, 1))
        bits = tuple(tags.get(_BITS, (1,)))
        kinds = set(tags.get(_FORMAT, (1,)))
        photometric = int(tags.get(_PHOTOMETRIC, _NEGATIVE))
        # OpenCV among others writes RGBA without saying so; what is said to be nothing is nothing.
        unsaid = photometric == _RGB and samples == 4
        extra = tuple(tags.get(_EXTRA, (_UNASSOCIATED,) if unsaid else ()))
        orientation = int(tags.get(_ORIENTATION, 1))
        pages = _another_page(file, tags, header)
    except _DAMAGED:
        raise KindError("not an image, or damaged") from None
    if len(bits) == 1:
        bits *= samples
    if min(size) < 1 or len(bits) != samples or len(set(bits)) > 1 or len(kinds) > 1:
        raise KindError(f"a TIFF of {samples} samples with {bits} bits of kinds {sorted(kinds)}")
    return TiffLayout(
        size,
        bits,
        kinds.pop(),
        photometric,
        extra,
        tags.get(_PLANAR, 1) == 2 and samples > 1,
        orientation if 1 <= orientation <= 8 else 1,
        pages,
        tags.get(_PROFILE),
        tags,
    )


def read_tiff(data: bytes, layout: TiffLayout) -> Raster:
    """Decode the first image of a TIFF file, upright.

    Raises:
        KindError: Damaged, or of a kind that is named.
    """
    if layout.common:
        try:
            with TiffImageFile(BytesIO(data)) as image:
                image.load()  # turns it as well
        except _DAMAGED as error:
            raise KindError(f"damaged ({error})") from None
        return raster_of(image)
    return turned(_interpreted(_samples(data, layout), layout), layout.orientation)


def _another_page(file: BinaryIO, tags: Any, header: bytes) -> bool:
    if not tags.next:
        return False
    further: Any = ImageFileDirectory_v2(header)
    try:
        file.seek(tags.next)
        further.load(file)
        return not int(further.get(_SUBFILE, 0)) & 1 and _WIDTH in further
    except _DAMAGED:
        return False  # what cannot be read cannot be meant


def _samples(data: bytes, layout: TiffLayout) -> np.ndarray:
    """All samples `(H, W, S)`, with the predictor undone."""
    bits, tags = layout.bits[0], layout.tags
    compression, predictor = tags.get(_COMPRESSION, 1), tags.get(_PREDICTOR, 1)
    if bits not in (8, 16, 32) or layout.kind not in (_UNSIGNED, _SIGNED, _FLOAT):
        raise KindError(f"a TIFF with {bits}-bit samples of kind {layout.kind}; save it in 8 bit")
    if layout.kind == _SIGNED and bits < 32:
        raise KindError(f"a TIFF with signed {bits}-bit samples; save it unsigned")
    if layout.photometric not in _COLORS or compression not in _LOSSLESS:
        raise KindError(
            f"a TIFF of {bits} bit with compression {compression}, photometric "
            f"{layout.photometric} and {len(layout.bits)} channels; save it as RGB"
        )
    if predictor == 3 or (predictor == 2 and layout.kind == _FLOAT):
        raise KindError("a TIFF of floats with a predictor; save it without")
    channels = len(layout.bits)
    wide = 1 if layout.planar else channels
    parts = [
        _decompressed(data, layout, plane, wide)
        for plane in range(channels if layout.planar else 1)
    ]
    samples = np.stack(parts, axis=-1) if layout.planar else parts[0]
    samples = samples.reshape(*layout.size, channels)
    if predictor == 2:
        step = tags.get(_TILE_WIDTH, samples.shape[1])
        for left in range(0, samples.shape[1], step):
            part = samples[:, left : left + step]
            part[...] = np.cumsum(part, axis=1, dtype=samples.dtype)
    return samples


def _decompressed(data: bytes, layout: TiffLayout, plane: int, wide: int) -> np.ndarray:
    """The samples `(H, W * wide)` of a plane, which a new directory calls one gray image."""
    old, order = layout.tags, "<" if data[:2] == b"II" else ">"
    bits = layout.bits[0]
    # Pillow has no unsigned 32 bit; what it reads as signed has the same bytes.
    kind = layout.kind if bits == 32 and layout.kind == _FLOAT else _SIGNED
    new = {
        _WIDTH: [layout.size[1] * wide],
        _HEIGHT: [layout.size[0]],
        _BITS: [bits],
        _COMPRESSION: [old.get(_COMPRESSION, 1)],
        _PHOTOMETRIC: [_GRAY],
        _FILL_ORDER: [old.get(_FILL_ORDER, 1)],
        _SAMPLES: [1],
        _FORMAT: [kind if bits == 32 else _UNSIGNED],
    }
    planes = len(layout.bits) if layout.planar else 1
    offsets, counts = (_TILES, _TILE_BYTES) if _TILES in old else (_STRIPS, _STRIP_BYTES)
    try:
        count = len(old[offsets]) // planes
        for tag in (offsets, counts):
            new[tag] = list(old[tag][plane * count : (plane + 1) * count])
        if _TILES in old:
            new[_TILE_WIDTH], new[_TILE_HEIGHT] = [old[_TILE_WIDTH] * wide], [old[_TILE_HEIGHT]]
        else:
            new[_ROWS] = [min(old.get(_ROWS, layout.size[0]), layout.size[0])]
        end = len(data) + len(data) % 2
        header = data[:2] + struct.pack(f"{order}HI", 42, end)
        file = BytesIO(header + data[8:] + bytes(end - len(data)) + _directory(new, end, order))
        with TiffImageFile(file) as image:  # not Image.open, which counts samples as pixels
            image.load()
        samples = np.array(image)
    except _DAMAGED as error:
        raise KindError(f"damaged ({error})") from None
    samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    if layout.kind == _FLOAT and bits == 16:
        return samples.view(np.float16).astype(np.float32)
    return samples.view(np.uint32) if bits == 32 and layout.kind == _UNSIGNED else samples


def _directory(tags: Mapping[int, Sequence[int]], at: int, order: str) -> bytes:
    """A directory of whole numbers, to be written at a place of a file."""
    entries, further = b"", b""
    behind = at + 2 + 12 * len(tags) + 4
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(packed) > 4:
            packed, further = struct.pack(f"{order}I", behind + len(further)), further + packed
        entries += struct.pack(f"{order}HHI", tag, 4, len(values)) + packed  # 4 is LONG
    return struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + further


def _interpreted(samples: np.ndarray, layout: TiffLayout) -> Raster:
    colors = _COLORS[layout.photometric]
    values = np.ascontiguousarray(samples[..., 0] if colors == 1 else samples[..., :colors])
    if samples.shape[2] < colors:
        raise KindError(f"a TIFF with {samples.shape[2]} channels for {colors} colors")
    whole = values.dtype in (np.uint8, np.uint16)
    if not whole:
        if samples.shape[2] > 1:
            kind = "floats" if values.dtype.kind == "f" else "integers"
            raise KindError(
                f"{samples.shape[2]} channels of {values.dtype.itemsize * 8}-bit {kind} have no "
                "certain 8-bit form; save it as RGB"
            )
        if layout.photometric == _NEGATIVE:
            raise KindError("a negative whose full scale is not known; save it in 8 bit")
        return raster(values)
    top = np.iinfo(values.dtype).max
    if layout.photometric == _NEGATIVE:
        values = top - values
    elif layout.photometric == _CMYK:
        ink = values.astype(np.uint64)
        rest = (top - ink[..., :3]) * (top - ink[..., 3:])
        values = ((rest + top // 2) // top).astype(samples.dtype)
    named = [index for index, code in enumerate(layout.extra) if code in _ALPHA]
    if not named or colors + named[0] >= samples.shape[2]:
        return raster(values)
    opacity = np.ascontiguousarray(samples[..., colors + named[0]])
    if layout.extra[named[0]] == _ASSOCIATED:
        share = np.maximum(opacity, 1).astype(np.uint64)
        share = share if values.ndim == 2 else share[..., None]
        straight = (values.astype(np.uint64) * top + share // 2) // share
        values = np.minimum(straight, top).astype(samples.dtype)
    return raster(values, opacity)
