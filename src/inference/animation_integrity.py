"""Animated images as their bytes say: which file is one, and whether it is whole.

Pillow reads a GIF that breaks off between two frames as one with fewer frames, and does not compare
the checksums of a PNG's frames: both are done here.
"""

import zlib
from pathlib import Path
from typing import NamedTuple

_PNG = b"\x89PNG\r\n\x1a\n"
_GIF = (b"GIF87a", b"GIF89a")
_ANIMATED = 0x02  # of a WebP's flags
_WEBP_FRAMES = (b"ALPH", b"VP8 ", b"VP8L")  # what a frame begins with
_EXTENSION, _IMAGE, _END = 0x21, 0x2C, 0x3B  # of a GIF's blocks
_TABLE = 0x80  # a color table follows, of a size in the lowest three bits


class Frames(NamedTuple):
    """What a file's structure says of its frames.

    whole: Frames that are there to their last byte.
    announced: How many there should be; None where the format does not say.
    fault: What is wrong behind them, in words; None for a sound file.
    """

    whole: int
    announced: int | None = None
    fault: str | None = None


def is_animation(path: Path) -> bool:
    """Whether a file is an animated GIF, PNG, WebP or AVIF, whole or not, by what is in it.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(64)
        if head.startswith(_GIF):
            return _is_several(_gif(head + file.read()))
        if head.startswith(_PNG):
            file.seek(len(_PNG))
            while len(chunk := file.read(8)) == 8 and chunk[4:] != b"IDAT":
                if chunk[4:] == b"acTL":
                    return int.from_bytes(file.read(4), "big") > 1
                file.seek(int.from_bytes(chunk[:4], "big") + 4, 1)
            return False
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X":
        return bool(head[20] & _ANIMATED) if len(head) > 20 else False
    brands = head[8 : max(8, int.from_bytes(head[:4], "big"))]
    return head[4:8] == b"ftyp" and b"avis" in brands and b"avif" in brands


def frames_of(data: bytes) -> Frames | None:
    """What the structure of a file says; None for a format that is not known here."""
    if data.startswith(_GIF):
        return _gif(data)
    if data.startswith(_PNG):
        return _png(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    return None


def _is_several(frames: Frames) -> bool:
    return frames.whole > 1 or (frames.whole == 1 and frames.fault is not None)


def _gif(data: bytes) -> Frames:
    """Walk the blocks of a GIF; one that ends between two of them lacks its end mark only."""
    found = 0
    try:
        at = 13 + _colors(data[10])
        while at < len(data) and data[at] != _END:
            kind = data[at]
            if kind == _IMAGE:
                at = _behind_blocks(data, at + 11 + _colors(data[at + 9]))
                found += 1
            elif kind == _EXTENSION:
                at = _behind_blocks(data, at + 2)
            else:
                return Frames(found, fault=f"frame {found + 1} is damaged")
    except IndexError:
        return Frames(found, fault=f"it breaks off in frame {found + 1}")
    return Frames(found)


def _colors(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & _TABLE else 0


def _behind_blocks(data: bytes, at: int) -> int:
    while (size := data[at]) != 0:
        at += 1 + size
    return at + 1


def _png(data: bytes) -> Frames:
    """Compare all checksums of an animated PNG; a chunk belongs to the frame begun last."""
    begun, announced, at = 0, None, len(_PNG)
    while at + 12 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            break
        begun += kind == b"fcTL"
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return Frames(max(0, begun - 1), announced, f"{_named(begun, announced)} is damaged")
        if kind == b"acTL":
            announced = int.from_bytes(data[at + 8 : at + 12], "big")
        if kind == b"IEND":
            missing = announced is not None and begun < announced
            return Frames(begun, announced, f"it has {begun} frames" if missing else None)
        at = end
    return Frames(max(0, begun - 1), announced, f"it breaks off in {_named(begun, announced)}")


def _webp(data: bytes) -> Frames:
    """Count the frames of a WebP up to the end that its header announces."""
    found, at, end = 0, 12, 8 + int.from_bytes(data[4:8], "little")
    while at + 8 <= min(end, len(data)):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + length > len(data):
            break
        if data[at : at + 4] == b"ANMF":
            found += 1
            if data[at + 24 : at + 28] not in _WEBP_FRAMES:
                return Frames(found - 1, fault=f"frame {found} is damaged")
        at += 8 + length + length % 2
    # The last chunk may lack the byte that makes it even.
    return Frames(found, fault=None if at + 1 >= end else f"it breaks off in frame {found + 1}")


def _named(begun: int, announced: int | None) -> str:
    return f"frame {max(1, begun)}" + (f" of {announced}" if announced else "")
