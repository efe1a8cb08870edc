"""Says what a file is that was taken for a checkpoint and is none."""

import string
import zipfile
from collections.abc import Callable
from pathlib import Path

_HEAD = 4096
_AGAIN = "download it again"
_CONVERT = "load it where it comes from and save its state_dict() with torch.save"
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch.save before 1.6

# What a file begins with, what that is, and what to do.
_BEGINNINGS: tuple[tuple[bytes, str, str], ...] = (
    (
        b"version https://git-lfs",
        "a Git LFS pointer, which stands for a file that was not fetched",
        "run git lfs pull in its folder, or download the file itself",
    ),
    (b"\x89HDF", "an HDF5 file (Keras)", "finecut reads PyTorch checkpoints only"),
    (b"\x93NUMPY", "a NumPy array", "finecut reads PyTorch checkpoints only"),
    (b"GGUF", "a GGUF file", "finecut reads PyTorch checkpoints only"),
    (b"\x1f\x8b", "a gzip archive", "unpack it and give the file inside"),
    (b"BZh", "a bzip2 archive", "unpack it and give the file inside"),
    (b"\xfd7zXZ", "an xz archive", "unpack it and give the file inside"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", "unpack it and give the file inside"),
    (b"7z\xbc\xaf", "a 7-Zip archive", "unpack it and give the file inside"),
    (b"Rar!", "a RAR archive", "unpack it and give the file inside"),
    (b"\x89PNG", "a PNG image", "give the file of the weights"),
    (b"\xff\xd8\xff", "a JPEG image", "give the file of the weights"),
    (b"%PDF", "a PDF document", "give the file of the weights"),
)
# The field numbers of ONNX's ModelProto that follow its version.
_ONNX_FIELDS = frozenset((0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42))


def not_a_checkpoint(path: Path) -> str | None:
    """What the file is and what to do, where it cannot be one that torch.save wrote; else None."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        return f"is empty, as after a download or a copy that broke off; {_AGAIN}"
    for beginning, kind, advice in _BEGINNINGS:
        if head.startswith(beginning):
            return f"is {kind}; {advice}"
    if head.startswith(b"PK\x03\x04"):
        return _of_a_zip(path)
    if head.startswith(_LEGACY):
        return None
    for looks_like, kind, advice in _LOOKS:
        if looks_like(head):
            return f"is {kind}; {advice}"
    return f"is nothing that torch.save wrote; {_AGAIN}, or {_CONVERT}"


def _of_a_zip(path: Path) -> str | None:
    if not zipfile.is_zipfile(path):
        return f"is incomplete: its end is missing; {_AGAIN}"
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        return f"is damaged ({_line(error)}); {_AGAIN}"
    ends = {name.rpartition("/")[2] for name in names}
    if "constants.pkl" in ends:
        return f"is a TorchScript archive, a program and not weights; {_CONVERT}"
    if any(end.startswith(("serialized_exported_program", "archive_format")) for end in ends):
        return f"is a program of torch.export and not weights; {_CONVERT}"
    if "data.pkl" not in ends:
        return "is a zip archive without weights of PyTorch; unpack it and give the file inside"
    return None


def _is_html(head: bytes) -> bool:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<!--", b"<body"))


def _is_safetensors(head: bytes) -> bool:
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 27


def _is_onnx(head: bytes) -> bool:
    return len(head) > 2 and head[0] == 0x08 and head[1] < 32 and head[2] in _ONNX_FIELDS


def _is_text(head: bytes) -> bool:
    return all(chr(byte) in string.printable or byte >= 0x80 for byte in head)


_LOOKS: tuple[tuple[Callable[[bytes], bool], str, str], ...] = (
    (
        _is_html,
        "a web page",
        "the server answered with a page, of a quota or a login, in place of the file: download "
        "it with a browser",
    ),
    (
        _is_safetensors,
        "a safetensors file",
        "save it once with torch.save(safetensors.torch.load_file(FILE), 'FILE.pth')",
    ),
    (_is_onnx, "an ONNX file", "give the checkpoint that it was exported from"),
    (lambda head: head[257:262] == b"ustar", "a tar archive", "unpack it and give the file inside"),
    (lambda head: head[4:8] == b"TFL3", "a TensorFlow Lite file", "give a PyTorch checkpoint"),
    (
        lambda head: head[0] == 0x80 and 2 <= head[1] <= 5 if len(head) > 1 else False,
        "a Python pickle that torch.save did not write, and could run code",
        _CONVERT,
    ),
    (_is_text, "a text", "give the file of the weights, a .pth or .ckpt"),
)


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
