"""Which kinds of files are read, and which of the others a user would miss."""

from pathlib import Path
from typing import Literal

from PIL import Image

VIDEOS = frozenset({".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv"})

# Images and videos that nothing here reads.
_UNREAD_SUFFIXES = """
    .heic .heif .heics .heifs .hif .avif .avifs .jxl .jxr .wdp .hdp .bpg .flif .svg .svgz .eps .wmf
    .emf .psb .xcf .kra .ora .exr .hdr .dpx .clip .afphoto .djvu .dcm .fpx
    .3fr .ari .arw .bay .braw .cap .cr2 .cr3 .crw .dcr .dcs .dng .drf .eip .erf .fff .gpr .iiq .k25
    .kdc .mdc .mef .mos .mrw .nef .nrw .orf .pef .ptx .pxn .r3d .raf .raw .rw2 .rwl .rwz .sr2 .srf
    .srw .x3f
    .3g2 .3gp .asf .flv .insv .m2ts .mts .mxf .ogv .rm .rmvb .vob
"""
# Neither images nor what holds them: nobody misses a result of these.
_BESIDE_SUFFIXES = """
    .aae .bib .bak .cfg .conf .csv .ctg .dat .db .doc .docx .html .htm .ini .ipynb .json .jsonl
    .lnk .log .lst .md .md5 .npy .npz .part .pickle .pkl .properties .py .pyc .rst .rtf .sh .sha256
    .srt .tex .thm .tmp .toml .tsv .txt .url .wav .mp3 .m4a .aac .xls .xlsx .xml .xmp .yaml .yml
    .ds_store
"""
_UNREAD = frozenset(_UNREAD_SUFFIXES.split())
_BESIDE = frozenset(_BESIDE_SUFFIXES.split())
_NOT_IMAGES = frozenset({"MPEG", "PDF", "EPS", "WMF", "HDF5", "GRIB", "BUFR"})
# The first bytes of image files, by which one with another suffix or none is known.
_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"II*\0", b"MM\0*", b"\xff\x0a", b"8BPS")
_HEADS = {b"ftyp": 4, b"WEBP": 8, b"JXL ": 4}  # and where they stand

# What becomes of a file: it is read, it is one that a user would miss, something else, or nothing.
Kind = Literal["read", "unread image", "other", "beside"]


def is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEOS


def is_image_name(path: Path) -> bool:
    """Whether a file's suffix is that of an image, of whatever kind."""
    suffix = path.suffix.lower()
    known = Image.registered_extensions().get(suffix) in _IMAGE_FORMATS or suffix in _UNREAD
    return known and suffix not in VIDEOS


def kind_of(path: Path) -> Kind:
    """What a file in a folder is, by its suffix, and by its first bytes where that says nothing."""
    suffix = path.suffix.lower()
    if suffix in VIDEOS or Image.registered_extensions().get(suffix) in _IMAGE_FORMATS:
        return "read"
    if suffix in _UNREAD:
        return "unread image"
    if suffix in _BESIDE:
        return "beside"
    if _starts_like_an_image(path):
        return "unread image"
    return "other" if suffix else "beside"


def label_of(path: Path) -> str:
    """A file's suffix as it is shown: small letters."""
    return path.suffix.lower() or "no suffix"


def advice_on(path: Path) -> str | None:
    """Why a file that was asked for by name cannot be read, where its kind says so."""
    suffix = path.suffix.lower()
    head = _head(path)
    if head[4:8] == b"ftyp" and head[8:11] in (b"hei", b"hev", b"mif", b"msf"):
        named = "" if suffix in (".heic", ".heif", ".hif") else f", whatever {suffix or 'it'} says"
        return f"is a HEIC image{named}, which is not read; convert it to JPEG or PNG"
    if suffix in _UNREAD and kind_of(path) != "read":
        return f"{suffix} files are not read; convert it to JPEG, PNG or TIFF"
    return None


def _starts_like_an_image(path: Path) -> bool:
    head = _head(path)
    return head.startswith(_STARTS) or any(
        head[at : at + len(word)] == word for word, at in _HEADS.items()
    )


def _head(path: Path) -> bytes:
    if not path.is_file():  # a pipe would be waited for
        return b""
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError:
        return b""


def _image_formats() -> frozenset[str]:
    Image.init()
    return frozenset(Image.OPEN) - _NOT_IMAGES


_IMAGE_FORMATS = _image_formats()
