"""The size of a JPEG XL image from its first bytes.

The package that decodes them does so as soon as a file is opened: a small file may hold an image
that fills the memory, so its size has to be known before (ISO/IEC 18181-1, SizeHeader).
"""

_CODESTREAM = b"\xff\x0a"
_BOXES = b"\0\0\0\x0cJXL \r\n\x87\n"
_LENGTHS = (9, 13, 18, 30)  # bits of a side, by its selector
_RATIOS = ((0, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # width : height


def jxl_size(data: bytes) -> tuple[int, int]:
    """Height and width as they are stored, before any turn.

    Raises:
        ValueError: No JPEG XL image, or one that is cut short.
    """
    bits = _Bits(_codestream(data))
    small = bits.take(1)
    height = _side(bits, small)
    over, under = _RATIOS[bits.take(3)]
    return height, height * over // under if over else _side(bits, small)


def _side(bits: "_Bits", small: int) -> int:
    return 8 * (bits.take(5) + 1) if small else bits.take(_LENGTHS[bits.take(2)]) + 1


class _Bits:
    """Bits of the first bytes, the lowest of each first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data[:16], "little"), 8 * len(data[:16])

    def take(self, count: int) -> int:
        if count > self._left:
            raise ValueError("cut short")
        taken = self._value & ((1 << count) - 1)
        self._value, self._left = self._value >> count, self._left - count
        return taken


def _codestream(data: bytes) -> bytes:
    """What stands behind the signature of the codestream, which may lie in a box."""
    at = 0 if data.startswith(_CODESTREAM) else _box(data)
    if data[at : at + 2] != _CODESTREAM:
        raise ValueError("no JPEG XL image")
    return data[at + 2 : at + 18]


def _box(data: bytes) -> int:
    """Where the first box with a codestream, or a part of one, has its content."""
    at = 0 if data.startswith(_BOXES) else len(data)
    while at + 16 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        header = 8
        if length == 1:
            length, header = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        if kind == b"jxlc":
            return at + header
        if kind == b"jxlp":  # parts are numbered
            return at + header + 4
        if length < header:  # 0: up to the end of the file
            break
        at += length
    raise ValueError("no JPEG XL image, or cut short")
